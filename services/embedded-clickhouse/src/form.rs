//! Parameters sent as `multipart/form-data`, as clients do when values are long.

use axum::body::Body;
use axum::http::{HeaderMap, header};

use crate::exception::{Code, Exception};
use crate::request::Pairs;

/// A bound against endless forms; a statement text has the same.
const FORM_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The form's boundary, if the body is one.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    multer::parse_boundary(content_type).ok()
}

/// Reads `query`, `param_…` and settings from a form.
pub(crate) async fn read(body: Body, boundary: String) -> Result<Pairs, Exception> {
    let constraints =
        multer::Constraints::new().size_limit(multer::SizeLimit::new().whole_stream(FORM_BYTES_MAX as u64));
    let mut form = multer::Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let mut pairs = Pairs::new();
    while let Some(field) = form.next_field().await.map_err(|error| bad(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() {
            return Err(Exception::new(
                Code::NotImplemented,
                format_args!("External tables are not supported by the embedded engine ({name})"),
            ));
        }
        let value = field.text().await.map_err(|error| bad(&error))?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn bad(error: &multer::Error) -> Exception {
    Exception::new(Code::CannotParseMultipart, format_args!("Cannot parse the multipart form: {error}"))
}
