//! Whether a licence expression can be met from a list of licences.
//!
//! The grammar is SPDX's: `AND` binds tighter than `OR`, `WITH` tightest. Older crates write `MIT/Apache-2.0` for `OR`.

/// Whether `expression` can be met by the licences in `allowed`. One that cannot be read cannot be met.
pub(crate) fn allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.either() == Some(true) && reader.words.is_empty()
}

/// What is left to read. Each rule gives whether its part is met, or `None` where it cannot be read.
struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        let next = self.words.first() == Some(&word);
        if next {
            self.words = &self.words[1..];
        }
        next
    }

    fn either(&mut self) -> Option<bool> {
        let mut met = self.both()?;
        while self.take("OR") {
            met |= self.both()?;
        }
        Some(met)
    }

    fn both(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.either()?;
            return self.take(")").then_some(met);
        }
        let (name, rest) = self.words.split_first()?;
        self.words = rest;
        if self.take("WITH") {
            let (exception, rest) = self.words.split_first()?;
            self.words = rest;
            return Some(self.knows(&format!("{name} WITH {exception}")));
        }
        Some(self.knows(name))
    }

    fn knows(&self, licence: &str) -> bool {
        self.allowed.iter().any(|known| known == licence)
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    fn met(expression: &str) -> bool {
        allowed(expression, &["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()])
    }

    #[test]
    fn an_expression_is_met_by_one_side_of_or_and_both_of_and() {
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "MIT AND ISC",
            "(GPL-3.0 OR MIT) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-3.0 AND GPL-2.0 OR MIT",
        ] {
            assert!(met(expression), "{expression}");
        }
        for expression in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Apache-2.0",
            "MIT WITH Classpath-exception-2.0",
            "MIT AND (GPL-3.0 OR GPL-2.0)",
        ] {
            assert!(!met(expression), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_met() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "OR MIT", "MIT WITH"] {
            assert!(!met(expression), "{expression}");
        }
    }
}
