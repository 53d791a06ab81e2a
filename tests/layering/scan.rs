//! Reads Rust just far enough to tell which paths a file names.

/// Words and signs of a source, without comments, strings and characters.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        let here = chars[index];
        if here == '/' && at(index + 1) == '/' {
            while index < chars.len() && chars[index] != '\n' {
                index += 1;
            }
        } else if here == '/' && at(index + 1) == '*' {
            index = end_of_comment(&chars, index);
        } else if let Some(end) = end_of_string(&chars, index) {
            index = end;
        } else if here == '\'' {
            // A lifetime has no second quote.
            index = match (at(index + 1), at(index + 2)) {
                ('\\', _) => (index + 3..chars.len())
                    .find(|&end| chars[end] == '\'')
                    .map_or(chars.len(), |end| end + 1),
                (_, '\'') => index + 3,
                _ => index + 1,
            };
        } else if is_word(here) {
            let start = index;
            while is_word(at(index)) {
                index += 1;
            }
            tokens.push(chars[start..index].iter().collect());
        } else if here == ':' && at(index + 1) == ':' {
            tokens.push("::".to_owned());
            index += 2;
        } else {
            if !here.is_whitespace() {
                tokens.push(here.to_string());
            }
            index += 1;
        }
    }
    tokens
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut index = start;
    while index + 1 < chars.len() {
        match (chars[index], chars[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    chars.len()
}

/// Where the string literal that begins here ends, if one begins here.
fn end_of_string(chars: &[char], start: usize) -> Option<usize> {
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    if start > 0 && is_word(at(start - 1)) {
        return None;
    }
    let mut index = start;
    while matches!(at(index), 'b' | 'c') && index - start < 1 {
        index += 1;
    }
    let raw = at(index) == 'r';
    index += usize::from(raw);
    let hashes = (index..)
        .take_while(|&index| raw && at(index) == '#')
        .count();
    index += hashes;
    if at(index) != '"' {
        return None;
    }
    index += 1;
    while index < chars.len() {
        match chars[index] {
            '\\' if !raw => index += 1,
            '"' if (1..=hashes).all(|offset| at(index + offset) == '#') => {
                return Some(index + 1 + hashes);
            }
            _ => {}
        }
        index += 1;
    }
    Some(chars.len())
}

/// The tokens without modules that are compiled for tests only.
pub(crate) fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST_MODULE: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let rest = &tokens[index..];
        if rest.len() > 9 && rest[..8].iter().eq(TEST_MODULE.iter()) && rest[9] == "{" {
            let mut depth = 0;
            let end = rest.iter().position(|token| {
                depth += i32::from(token == "{") - i32::from(token == "}");
                depth == 0 && token == "}"
            });
            index += end.map_or(rest.len(), |end| end + 1);
        } else {
            kept.push(tokens[index].clone());
            index += 1;
        }
    }
    kept
}

/// Every path in the tokens, those of `use` declarations with their braces taken apart.
pub(crate) fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        // `use<..>` is no import but a bound.
        if tokens[index] == "use" && tokens.get(index + 1).is_some_and(|next| next != "<") {
            index = use_tree(tokens, index + 1, &[], &mut found);
        } else if is_start(tokens, index) {
            let mut path = vec![tokens[index].clone()];
            while tokens.get(index + 1).is_some_and(|token| token == "::")
                && tokens
                    .get(index + 2)
                    .is_some_and(|token| token.starts_with(is_word))
            {
                path.push(tokens[index + 2].clone());
                index += 2;
            }
            if path.len() > 1 {
                found.push(path);
            }
            index += 1;
        } else {
            index += 1;
        }
    }
    found
}

/// Whether a path may begin with this token.
fn is_start(tokens: &[String], index: usize) -> bool {
    tokens[index].starts_with(is_word) && (index == 0 || tokens[index - 1] != "::")
}

/// Reads a tree of `use` behind `prefix` from `index` on; gives the index behind it.
fn use_tree(
    tokens: &[String],
    mut index: usize,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(index) {
        match token.as_str() {
            "::" => {}
            "{" => {
                index += 1;
                while tokens
                    .get(index)
                    .is_some_and(|token| token != "}" && token != ";")
                {
                    index = use_tree(tokens, index, &path, found);
                    index += usize::from(tokens.get(index).is_some_and(|token| token == ","));
                }
                return index + 1;
            }
            "," | ";" | "}" => break,
            "as" => index += 1,
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        index += 1;
    }
    found.push(path);
    index
}

/// The tokens by how many modules `mod x { }` stand around them.
pub(crate) fn inline_modules(tokens: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = vec![(0, Vec::new())];
    let mut index = 0;
    while index < tokens.len() {
        let opens = tokens[index] == "mod" && tokens.get(index + 2).is_some_and(|sign| sign == "{");
        if !opens {
            found[0].1.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let body = &tokens[index + 3..];
        let mut depth = 1;
        let end = body.iter().position(|token| {
            depth += i32::from(token == "{") - i32::from(token == "}");
            depth == 0
        });
        let end = end.unwrap_or(body.len());
        let inner = inline_modules(&body[..end]);
        found.extend(inner.into_iter().map(|(depth, code)| (depth + 1, code)));
        index += 3 + end + 1;
    }
    found
}

/// The paths of the `use` declarations that stand at the top.
pub(crate) fn imports(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut index = 0;
    let mut depth = 0;
    while index < tokens.len() {
        match tokens[index].as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "use" if depth == 0 => index = use_tree(tokens, index + 1, &[], &mut found),
            _ => {}
        }
        index += 1;
    }
    found
}

/// The tokens without their `pub use` declarations, and the paths of those.
pub(crate) fn handed_on(tokens: &[String]) -> (Vec<String>, Vec<Vec<String>>) {
    let (mut kept, mut found) = (Vec::new(), Vec::new());
    let mut index = 0;
    while index < tokens.len() {
        let rest = &tokens[index..];
        let visibility = match rest {
            [word, sign, ..] if word == "pub" && sign == "(" => rest
                .iter()
                .position(|sign| sign == ")")
                .map_or(1, |end| end + 1),
            [word, ..] if word == "pub" => 1,
            _ => 0,
        };
        if visibility > 0 && rest.get(visibility).is_some_and(|word| word == "use") {
            index = use_tree(tokens, index + visibility + 1, &[], &mut found);
        } else {
            kept.push(tokens[index].clone());
            index += 1;
        }
    }
    (kept, found)
}
