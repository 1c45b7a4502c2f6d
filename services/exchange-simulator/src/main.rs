//! Speaks the exchanges' own protocols: deterministic, with faults and a ledger.

fn main() -> std::process::ExitCode {
    marketprism_service::run(
        marketprism_exchange_simulator::DESCRIPTOR,
        marketprism_exchange_simulator::start,
    )
}
