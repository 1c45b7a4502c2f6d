//! Old bytes are readable for ever: every golden file decodes, encodes to the same bytes, and fits its schema.

use marketprism_core::message_id::message_id;
use marketprism_core::{DataType, Message, Subject, schema};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire");

fn golden(data_type: DataType) -> String {
    read(format!("{GOLDEN}/{data_type}/v1.json").as_ref())
}

/// Every file of a data type: shapes that were on the wire once.
fn every_golden(data_type: DataType) -> Vec<String> {
    let files = std::fs::read_dir(format!("{GOLDEN}/{data_type}")).unwrap();
    files.map(|file| read(&file.unwrap().path())).collect()
}

fn read(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// The subject the golden bytes belong on, taken from the JSON without our types.
fn subject_of(bytes: &str) -> Subject {
    let json: serde_json::Value = serde_json::from_str(bytes).unwrap();
    let field = |name: &str| json[name].as_str().unwrap().to_owned();
    Subject::parse(&["data_type", "exchange", "market_type", "symbol"].map(field).join(".")).unwrap()
}

#[test]
fn golden_bytes_decode_and_encode_to_themselves() {
    let of = |data_type: DataType| every_golden(data_type).into_iter().map(move |bytes| (data_type, bytes));
    for (data_type, bytes) in DataType::ALL.iter().copied().flat_map(of) {
        let subject = subject_of(&bytes);
        let message = Message::decode(&subject, bytes.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(message.data_type(), data_type);
        assert_eq!(message.subject().unwrap(), subject);
        let mut encoded = Vec::new();
        message.encode(&mut encoded).unwrap();
        assert_eq!(String::from_utf8(encoded).unwrap(), bytes);
    }
}

#[test]
fn golden_bytes_fit_the_generated_schemas() {
    for (data_type, schema) in schema::all() {
        let validator = jsonschema::validator_for(&schema).unwrap();
        let json: serde_json::Value = serde_json::from_str(&golden(data_type)).unwrap();
        validator.validate(&json).unwrap_or_else(|error| panic!("{data_type}: {error}"));
        let mut broken = json;
        broken.as_object_mut().unwrap().remove("exchange");
        assert!(!validator.is_valid(&broken), "{data_type}: a message without exchange passes the schema");
    }
}

#[test]
fn common_fields_come_first_and_in_order() {
    const COMMON: &str =
        "data_type exchange market_type symbol instrument_id ts_event_us ts_recv_us source schema";
    for data_type in DataType::ALL {
        let bytes = golden(*data_type);
        let keys: Vec<_> = bytes.split('"').skip(1).step_by(2).collect();
        let names: Vec<_> = COMMON.split(' ').collect();
        let found: Vec<_> = keys.iter().filter(|key| names.contains(key)).collect();
        assert_eq!(found, names.iter().collect::<Vec<_>>(), "{data_type}");
    }
}

#[test]
fn ids_name_the_event_not_the_moment_of_publishing() {
    let expected = [
        "trade.binance.perpetual.BTC-USDT:a3478018549",
        "orderbook.binance.spot.ETH-USDT:35346513512",
        "funding_rate.binance.perpetual.BTC-USDT:1791269856000000",
        "open_interest.okx.perpetual.BTC-USDT:1791269856000000",
        "liquidation.binance.perpetual.ILV-USDT:1791391082119000:sell:3.80300:116.5",
        "volatility_index.deribit.options.BTC:1791269856000000:0",
        "lsr_top_position.binance.perpetual.BTC-USDT:5m:1789209000000000",
        "lsr_all_account.okx.perpetual.ETH-USDT:5m:1789209000000000",
        "gap.binance.spot.BTC-USDT:trade:6595931386-6595931390:disconnect",
    ];
    for (data_type, expected) in DataType::ALL.iter().zip(expected) {
        let bytes = golden(*data_type);
        let subject = subject_of(&bytes);
        // Received a day later by another collector: the same event, so the same id.
        let json: serde_json::Value = serde_json::from_str(&bytes).unwrap();
        let received = json["ts_recv_us"].as_i64().unwrap();
        let later = bytes.replace(&received.to_string(), &(received + 86_400_000_000).to_string());
        for bytes in [&bytes, &later] {
            let message = Message::decode(&subject, bytes.as_bytes()).unwrap();
            assert_eq!(message_id(&subject, &message), expected);
        }
    }
}
