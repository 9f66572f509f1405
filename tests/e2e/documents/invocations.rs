//! The invocations of `bulla` in a shell command, for those examples that cannot run.

const APP: &str = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";

/// The arguments of each `bulla …` in `command`, with something in the place of what the shell would put there.
pub fn of_bulla(command: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut redirected = false;
    let mut characters = command.chars().peekable();
    let end_word = |word: &mut Option<String>, words: &mut Vec<String>, redirected: &mut bool| {
        if let Some(word) = word.take()
            && !std::mem::take(redirected)
        {
            words.push(word);
        }
    };
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\'', None) | ('"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, Some(open)) if character == open => quote = None,
            ('\\', None) => {
                if let Some(next) = characters.next().filter(|next| *next != '\n') {
                    word.get_or_insert_default().push(next);
                }
            }
            ('$', None | Some('"')) => {
                let put = if characters.next_if_eq(&'(').is_some() {
                    let inner = inside(&mut characters);
                    found.extend(of_bulla(&inner));
                    if inner.contains("uuid") {
                        APP
                    } else if inner.contains("date") {
                        "2026-01-01T00:00:00Z"
                    } else {
                        "1"
                    }
                } else {
                    let mut name = String::new();
                    while let Some(next) = characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                        name.push(next);
                    }
                    if ["APP", "ME"].contains(&name.as_str()) { APP } else { "live_000008TjPJsKU3Hu4SJ9qc" }
                };
                word.get_or_insert_default().push_str(put);
            }
            ('#', None) if word.is_none() => while characters.next_if(|next| *next != '\n').is_some() {},
            (' ' | '\t', None) => end_word(&mut word, &mut words, &mut redirected),
            ('<' | '>', None) => {
                end_word(&mut word, &mut words, &mut redirected);
                redirected = true;
            }
            ('|' | '&' | ';' | '(' | ')' | '\n', None) => {
                end_word(&mut word, &mut words, &mut redirected);
                found.extend(arguments(&std::mem::take(&mut words)));
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    end_word(&mut word, &mut words, &mut redirected);
    found.extend(arguments(&words));
    found
}

/// The text up to the bracket that closes it.
fn inside(characters: &mut impl Iterator<Item = char>) -> String {
    let mut depth = 1;
    characters
        .take_while(|character| {
            depth += i32::from(*character == '(') - i32::from(*character == ')');
            depth > 0
        })
        .collect()
}

/// Behind assignments, and words of the shell's own.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    let command =
        words.iter().position(|word| !word.contains('=') && !["do", "then", "exec"].contains(&word.as_str()))?;
    (words[command] == "bulla").then(|| words[command + 1..].to_vec())
}

#[test]
fn invocations_are_found_wherever_a_shell_takes_a_command() {
    let command = "(umask 077; bulla issue --app $ME --name 'for me' --json | jq .x > bulla.json) && A=1 bulla doctor";
    let found = of_bulla(command);
    assert_eq!(found[0], ["issue", "--app", APP, "--name", "for me", "--json"]);
    assert_eq!(found[1], ["doctor"]);
    assert_eq!(found.len(), 2);
    assert_eq!(of_bulla("X=$(bulla keys list) ; echo bulla")[0], ["keys", "list"]);
    assert_eq!(of_bulla("bulla verify - < key.txt  # bulla")[0], ["verify", "-"]);
}
