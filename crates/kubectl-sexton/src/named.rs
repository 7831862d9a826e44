//! The pod that a person names.

/// `POD`, `pod/POD`, `NAMESPACE/POD` or `pod/NAMESPACE/POD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it is not said, that of the context or of `-n`.
    pub namespace: Option<String>,
    /// The pod.
    pub name: String,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("pod/")
            .or_else(|| text.strip_prefix("pods/"))
            .unwrap_or(text);
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, rest),
        };
        if name.is_empty() || name.contains('/') || namespace == Some("") {
            return Err("give it as POD or NAMESPACE/POD".to_owned());
        }
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_people_write_them() {
        let named = |namespace: Option<&str>, name: &str| {
            Ok(Named {
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
            })
        };
        assert_eq!("web".parse(), named(None, "web"));
        assert_eq!("pod/web".parse(), named(None, "web"));
        assert_eq!("shop/web".parse(), named(Some("shop"), "web"));
        assert_eq!("pod/shop/web".parse(), named(Some("shop"), "web"));
        for bad in ["", "pod/", "/web", "a/b/c", "pod/shop/"] {
            assert!(bad.parse::<Named>().is_err(), "{bad}");
        }
    }
}
