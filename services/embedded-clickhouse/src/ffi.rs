//! The C interface of libchdb, found at run time: every unsafe line of the workspace is in this file.
//!
//! Safe types stand in for the handles: a [`Connection`] runs one statement at a time (`&mut self`), and what comes out
//! of a connection cannot outlive it. Nothing here knows HTTP, settings or sessions.
//!
//! What the declarations rest on, for libchdb 26.7.3:
//! - `chdb_connect` returns a pointer to the connection handle; the other calls take the handle itself.
//! - A connection may move between threads, but is used by one thread at a time.
//! - Texts and data are copied by the callee before the call returns.
//! - Every result, stream and insert handle is destroyed exactly once, streams before their connection.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr;

use crate::confine;

type Handle = *mut c_void;
type Text = *const c_char;

/// Starts a statement: connection, text, format, and the parameters' names and values with their lengths.
type Start = unsafe extern "C" fn(
    Handle,
    Text,
    usize,
    Text,
    usize,
    *const Text,
    *const usize,
    *const Text,
    *const usize,
    usize,
) -> Handle;

macro_rules! c_functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $returned:ty)?;)*) => {
        struct Functions { $($name: unsafe extern "C" fn($($argument),*) $(-> $returned)?,)* }

        impl Functions {
            /// # Safety
            /// The library must be a libchdb whose functions have these signatures.
            unsafe fn load(library: &libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self { $(
                    // SAFETY: the caller vouches for the signature; the copy lives as long as the library, which is never unloaded.
                    $name: unsafe { *library.get(concat!(stringify!($name), "\0").as_bytes())? },
                )* })
            }
        }
    };
}

c_functions! {
    chdb_version: fn() -> Text;
    chdb_set_signal_handlers_enabled: fn(c_int);
    chdb_connect: fn(c_int, *mut *mut c_char) -> *mut Handle;
    chdb_close_conn: fn(*mut Handle);
    chdb_query_with_params_n: fn(Handle, Text, usize, Text, usize, *const Text, *const usize, *const Text, *const usize, usize) -> Handle;
    chdb_stream_query_with_params_n: fn(Handle, Text, usize, Text, usize, *const Text, *const usize, *const Text, *const usize, usize) -> Handle;
    chdb_stream_fetch_result: fn(Handle, Handle) -> Handle;
    chdb_stream_cancel_query: fn(Handle, Handle);
    chdb_destroy_query_result: fn(Handle);
    chdb_stream_insert_with_params_n: fn(Handle, Text, usize, Text, usize, *const Text, *const usize, *const Text, *const usize, usize) -> Handle;
    chdb_stream_append: fn(Handle, *const c_void, usize) -> c_int;
    chdb_stream_done: fn(Handle) -> Handle;
    chdb_stream_cancel_insert: fn(Handle);
    chdb_stream_insert_error: fn(Handle) -> Text;
    chdb_destroy_insert_stream: fn(Handle);
    chdb_result_buffer: fn(Handle) -> Text;
    chdb_result_length: fn(Handle) -> usize;
    chdb_result_error: fn(Handle) -> Text;
    chdb_result_rows_read: fn(Handle) -> u64;
    chdb_result_storage_rows_read: fn(Handle) -> u64;
    chdb_result_storage_bytes_read: fn(Handle) -> u64;
    chdb_result_rows_written: fn(Handle) -> u64;
    chdb_result_bytes_written: fn(Handle) -> u64;
    chdb_classify_query_n: fn(Handle, Text, usize, Text, usize, *mut Classification) -> c_int;
}

/// What `chdb_classify_query_n` fills in. The spare words are room for a later engine that writes more than it was told to.
#[repr(C)]
#[derive(Default)]
struct Classification {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
    spare: [u32; 4],
}

/// A loaded libchdb. Never unloaded: the engine's own threads run its code until the process ends.
pub(crate) struct Library {
    functions: Functions,
}

impl Library {
    /// Loads the library and keeps the engine from replacing this process's signal handlers.
    pub(crate) fn load(path: &Path) -> Result<&'static Library, libloading::Error> {
        use libloading::os::unix::{Library as UnixLibrary, RTLD_LOCAL, RTLD_NOW};
        // SAFETY: libchdb's initialisers only set up its own state. RTLD_LOCAL keeps its symbols from ours.
        let library: libloading::Library =
            unsafe { UnixLibrary::open(Some(path), RTLD_NOW | RTLD_LOCAL)? }.into();
        // SAFETY: the names are libchdb's own, and the declarations above are of the version that is pinned.
        let functions = unsafe { Functions::load(&library)? };
        std::mem::forget(library);
        // SAFETY: called before the first connection, as the interface asks.
        unsafe { (functions.chdb_set_signal_handlers_enabled)(0) };
        Ok(Box::leak(Box::new(Library { functions })))
    }

    /// The library's own version, such as `26.7.3`.
    pub(crate) fn version(&self) -> String {
        // SAFETY: takes nothing, returns a static text or null.
        text(unsafe { (self.functions.chdb_version)() }).unwrap_or_default()
    }

    /// Opens a connection; the first one starts the engine, closing the last one stops it. `None` when the engine
    /// refuses: it tells the reason on standard error only.
    pub(crate) fn connect(&'static self, arguments: &[CString]) -> Option<Connection> {
        let count = c_int::try_from(arguments.len()).ok()?;
        let mut pointers: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        pointers.push(ptr::null_mut());
        // SAFETY: `pointers` is a null-terminated argument vector of live C strings, which the engine only reads.
        let outer = unsafe { (self.functions.chdb_connect)(count, pointers.as_mut_ptr()) };
        if outer.is_null() {
            return None;
        }
        // SAFETY: a non-null answer points to the connection handle.
        let handle = unsafe { *outer };
        Some(Connection { functions: &self.functions, outer, handle })
    }
}

/// One connection: its own settings and current database, one statement at a time.
pub(crate) struct Connection {
    functions: &'static Functions,
    outer: *mut Handle,
    handle: Handle,
}

// SAFETY: the engine binds no connection to a thread; `&mut self` everywhere keeps it to one thread at a time.
unsafe impl Send for Connection {}

impl Connection {
    /// Runs a statement and holds its whole result.
    pub(crate) fn query(&mut self, sql: &[u8], format: &str, parameters: &Parameters) -> Outcome<'_> {
        let result = self.start(self.functions.chdb_query_with_params_n, sql, format, parameters);
        Outcome { functions: self.functions, handle: result, connection: PhantomData }
    }

    /// Starts a query whose result is fetched piece by piece.
    pub(crate) fn stream(&mut self, sql: &[u8], format: &str, parameters: &Parameters) -> Stream<'_> {
        let stream = self.start(self.functions.chdb_stream_query_with_params_n, sql, format, parameters);
        Stream {
            start: Outcome { functions: self.functions, handle: stream, connection: PhantomData },
            connection: self,
            finished: false,
        }
    }

    /// Starts an insert: `sql` has neither a FORMAT clause nor data.
    pub(crate) fn insert(&mut self, sql: &[u8], format: &str, parameters: &Parameters) -> Insert<'_> {
        let insert = self.start(self.functions.chdb_stream_insert_with_params_n, sql, format, parameters);
        Insert { functions: self.functions, handle: insert, settled: false, connection: PhantomData }
    }

    fn start(&self, function: Start, sql: &[u8], format: &str, parameters: &Parameters) -> Handle {
        let p = parameters.raw();
        // SAFETY: `function` is one of this library's; all pointers come with their lengths and live through the call.
        unsafe {
            function(
                self.handle,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                p.names.as_ptr(),
                p.name_lengths.as_ptr(),
                p.values.as_ptr(),
                p.value_lengths.as_ptr(),
                p.names.len(),
            )
        }
    }

    /// How many statements a text holds, without running any; `None` when it cannot be parsed.
    pub(crate) fn statement_count(&mut self, sql: &[u8]) -> Option<u32> {
        let mut classification = Classification { struct_size: 16, ..Classification::default() };
        // SAFETY: the texts come with their lengths; the structure is larger than the size it states.
        let status = unsafe {
            (self.functions.chdb_classify_query_n)(
                self.handle,
                sql.as_ptr().cast(),
                sql.len(),
                ptr::null(),
                0,
                &raw mut classification,
            )
        };
        (status == 0).then_some(classification.statement_count)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Sessions are closed by threads that run no statement. A failure here has been met when the thread connected.
        drop(confine::enter());
        // SAFETY: opened once, closed once; results and streams borrow the connection, so none is left.
        unsafe { (self.functions.chdb_close_conn)(self.outer) };
    }
}

/// Named values for `{name:Type}` placeholders.
#[derive(Debug, Default, Clone)]
pub(crate) struct Parameters(Vec<(String, String)>);

struct RawParameters {
    names: Vec<Text>,
    name_lengths: Vec<usize>,
    values: Vec<Text>,
    value_lengths: Vec<usize>,
}

impl Parameters {
    /// Adds one value; the name is without its `param_` prefix.
    pub(crate) fn push(&mut self, name: &str, value: String) {
        self.0.push((name.to_owned(), value));
    }

    fn raw(&self) -> RawParameters {
        RawParameters {
            names: self.0.iter().map(|(name, _)| name.as_ptr().cast()).collect(),
            name_lengths: self.0.iter().map(|(name, _)| name.len()).collect(),
            values: self.0.iter().map(|(_, value)| value.as_ptr().cast()).collect(),
            value_lengths: self.0.iter().map(|(_, value)| value.len()).collect(),
        }
    }
}

/// Rows and bytes that a statement has read and written so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) result_rows: u64,
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
}

/// What a statement, or one piece of it, gave.
pub(crate) struct Outcome<'connection> {
    functions: &'static Functions,
    handle: Handle,
    connection: PhantomData<&'connection mut Connection>,
}

impl Outcome<'_> {
    /// The engine's error text, if it failed.
    pub(crate) fn error(&self) -> Option<String> {
        if self.handle.is_null() {
            return Some(
                "Code: 1002. DB::Exception: The engine gave no result. (UNKNOWN_EXCEPTION)".to_owned(),
            );
        }
        // SAFETY: a live result; the text is null or lives as long as the result.
        text(unsafe { (self.functions.chdb_result_error)(self.handle) })
    }

    /// The formatted rows; empty for a statement that returns none.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.handle.is_null() {
            return &[];
        }
        // SAFETY: a live result; buffer and length belong together and are not changed until it is destroyed.
        unsafe {
            let start: *const u8 = (self.functions.chdb_result_buffer)(self.handle).cast();
            let length = (self.functions.chdb_result_length)(self.handle);
            if start.is_null() || length == 0 { &[] } else { std::slice::from_raw_parts(start, length) }
        }
    }

    /// Rows and bytes so far.
    pub(crate) fn progress(&self) -> Progress {
        if self.handle.is_null() {
            return Progress::default();
        }
        let f = self.functions;
        // SAFETY: a live result; the calls only read counters.
        unsafe {
            Progress {
                result_rows: (f.chdb_result_rows_read)(self.handle),
                read_rows: (f.chdb_result_storage_rows_read)(self.handle),
                read_bytes: (f.chdb_result_storage_bytes_read)(self.handle),
                written_rows: (f.chdb_result_rows_written)(self.handle),
                written_bytes: (f.chdb_result_bytes_written)(self.handle),
            }
        }
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: destroyed once.
            unsafe { (self.functions.chdb_destroy_query_result)(self.handle) };
        }
    }
}

/// A running query. Dropping it before its end cancels the query.
pub(crate) struct Stream<'connection> {
    start: Outcome<'connection>,
    connection: &'connection Connection,
    finished: bool,
}

impl Stream<'_> {
    /// Why the query could not start.
    pub(crate) fn error(&self) -> Option<String> {
        self.start.error()
    }

    /// The next piece; one with neither bytes nor an error is the end.
    pub(crate) fn fetch(&mut self) -> Outcome<'_> {
        let functions = self.start.functions;
        // SAFETY: connection and stream are live and belong together; `error` was asked before, so the handle is not null.
        let handle =
            unsafe { (functions.chdb_stream_fetch_result)(self.connection.handle, self.start.handle) };
        let piece = Outcome { functions, handle, connection: PhantomData };
        self.finished = piece.error().is_some() || piece.bytes().is_empty();
        piece
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if !self.finished && self.start.error().is_none() {
            // SAFETY: the stream is live; its result handle is destroyed after this by `start`.
            unsafe {
                (self.start.functions.chdb_stream_cancel_query)(self.connection.handle, self.start.handle);
            };
        }
    }
}

/// A running insert. Dropping it before [`Insert::finish`] cancels it: what the engine has not yet committed is not stored.
pub(crate) struct Insert<'connection> {
    functions: &'static Functions,
    handle: Handle,
    settled: bool,
    connection: PhantomData<&'connection mut Connection>,
}

impl<'connection> Insert<'connection> {
    /// Hands data over, waiting while the engine is behind; false when the insert has failed ([`Insert::finish`] says why).
    pub(crate) fn append(&mut self, data: &[u8]) -> bool {
        // SAFETY: a live insert; the data is copied before the call returns.
        unsafe { (self.functions.chdb_stream_append)(self.handle, data.as_ptr().cast(), data.len()) == 0 }
    }

    /// Why the insert has failed so far: it could not start, or refused data. Asked before [`Insert::finish`], which
    /// knows no reason of an insert that never started.
    pub(crate) fn error(&self) -> Option<String> {
        // SAFETY: a live insert; the text is null, or lives as long as it.
        let error = text(unsafe { (self.functions.chdb_stream_insert_error)(self.handle) });
        error.filter(|error| !error.is_empty())
    }

    /// Ends the data and commits.
    pub(crate) fn finish(&mut self) -> Outcome<'connection> {
        self.settled = true;
        // SAFETY: a live insert, ended once.
        let result = unsafe { (self.functions.chdb_stream_done)(self.handle) };
        Outcome { functions: self.functions, handle: result, connection: PhantomData }
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        if self.handle.is_null() {
            return;
        }
        // SAFETY: a live insert, cancelled at most once and destroyed once.
        unsafe {
            if !self.settled {
                (self.functions.chdb_stream_cancel_insert)(self.handle);
            }
            (self.functions.chdb_destroy_insert_stream)(self.handle);
        }
    }
}

fn text(pointer: Text) -> Option<String> {
    // SAFETY: callers pass null or a terminated text that lives through this call.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
