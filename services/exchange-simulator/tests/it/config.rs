//! The configuration file and what is refused.

use marketprism_exchange_simulator::{Simulator, SimulatorConfig};
use marketprism_service::Configuration;
use marketprism_service::config::load;

#[test]
fn the_shipped_file_is_the_defaults() {
    let path =
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/exchange-simulator.yaml"));
    let loaded: SimulatorConfig = load(Some(path), &Default::default(), &[]).unwrap();
    assert_eq!(loaded, SimulatorConfig::default());
}

#[test]
fn out_of_range_values_are_named() {
    for (config, key) in [
        (SimulatorConfig { rate: 0, ..SimulatorConfig::default() }, "rate"),
        (SimulatorConfig { symbols: 101, ..SimulatorConfig::default() }, "symbols"),
        (SimulatorConfig { markets: Vec::new(), ..SimulatorConfig::default() }, "markets"),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Simulator::bind(&SimulatorConfig { listen, ..SimulatorConfig::default() }).await.unwrap_err();
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}
