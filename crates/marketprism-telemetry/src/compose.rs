//! `deploy/docker/compose.yaml` as data, with its merge keys (`<<`) resolved. It is read here, not run.

use std::fs;

use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

use crate::root;

/// Long enough for every service.
const PASSWORD: &str = "correct horse battery";

/// A service of the compose file.
#[derive(Debug)]
pub struct Service {
    /// Its name, by which the others reach it.
    pub name: String,
    /// Everything it says.
    pub settings: Yaml,
}

impl Service {
    /// The text of one setting; empty when there is none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.settings[key].as_str().unwrap_or_default()
    }

    /// The texts of a list; empty when there is none.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<&str> {
        self.settings[key].as_vec().into_iter().flatten().filter_map(Yaml::as_str).collect()
    }

    /// Its variables. What is secret, `${VARIABLE:?…}` or `file:/run/secrets/…`, is another password here.
    #[must_use]
    pub fn environment(&self) -> Vec<(&str, &str)> {
        let variables = self.settings["environment"].as_hash().into_iter().flatten();
        variables
            .filter_map(|(name, value)| {
                let value = value.as_str()?;
                let is_secret = value.starts_with("${") || value.starts_with("file:");
                Some((name.as_str()?, if is_secret { PASSWORD } else { value }))
            })
            .collect()
    }

    /// Whether its image is made from this repository.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        !self.settings["build"].is_badvalue()
    }

    /// Port of the host and port of the container of each `ports: ["127.0.0.1:HOST:CONTAINER"]`.
    ///
    /// # Panics
    /// When a port is published on another address.
    #[must_use]
    pub fn published(&self) -> Vec<(u16, u16)> {
        let ports = self.list("ports").into_iter().map(|published| {
            let ports = published.strip_prefix("127.0.0.1:").and_then(|ports| ports.split_once(':'));
            let ports = ports.and_then(|(host, own)| Some((host.parse().ok()?, own.parse().ok()?)));
            ports.unwrap_or_else(|| panic!("{}: {published} is not 127.0.0.1:HOST:CONTAINER", self.name))
        });
        ports.collect()
    }
}

/// The whole file.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn compose() -> Yaml {
    let source = source();
    let documents = YamlLoader::load_from_str(&source).expect("the compose file");
    merged(documents.first().expect("a document"))
}

/// Its text, comments included.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn source() -> String {
    fs::read_to_string(root().join("deploy/docker/compose.yaml")).expect("the compose file")
}

/// Its services.
#[must_use]
pub fn services() -> Vec<Service> {
    let compose = compose();
    let services = compose["services"].as_hash().into_iter().flatten();
    let service = |(name, settings): (&Yaml, &Yaml)| Service {
        name: name.as_str().unwrap_or_default().to_owned(),
        settings: settings.clone(),
    };
    services.map(service).collect()
}

/// What a mapping says itself covers what it merges.
fn merged(yaml: &Yaml) -> Yaml {
    if let Some(list) = yaml.as_vec() {
        return Yaml::Array(list.iter().map(merged).collect());
    }
    let Some(mapping) = yaml.as_hash() else { return yaml.clone() };
    let (merges, own): (Vec<_>, Vec<_>) = mapping.iter().partition(|(key, _)| key.as_str() == Some("<<"));
    let mut all = Hash::new();
    for (_, below) in merges {
        all.extend(merged(below).into_hash().expect("a mapping is merged"));
    }
    all.extend(own.into_iter().map(|(key, value)| (key.clone(), merged(value))));
    Yaml::Hash(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_merged_is_covered_by_what_is_said() {
        let text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n";
        let yaml = merged(&YamlLoader::load_from_str(text).unwrap().remove(0));
        assert_eq!((yaml["y"]["a"].as_i64(), yaml["y"]["b"].as_i64()), (Some(1), Some(3)));
        assert!(yaml["y"]["<<"].is_badvalue());
    }

    #[test]
    #[should_panic(expected = "x: 0.0.0.0:1:2 is not 127.0.0.1:HOST:CONTAINER")]
    fn a_port_for_everybody_is_refused() {
        let settings = YamlLoader::load_from_str("ports: ['0.0.0.0:1:2']").unwrap().remove(0);
        assert!(Service { name: "x".to_owned(), settings }.published().is_empty());
    }
}
