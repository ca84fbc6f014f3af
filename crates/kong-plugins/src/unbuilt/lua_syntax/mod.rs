//! Whether a text is a chunk of Lua 5.1 as LuaJIT reads it, without running any of it: what `pre-function` and the
//! `custom_fields_by_lua` of the log plugins ask when they are configured. The texts of errors are those of LuaJIT.

mod lexer;
mod parser;

use std::fmt::Write;

/// What a chunk is called in errors when it has no other name: its first line.
fn chunk_name(source: &str) -> String {
    const LONGEST: usize = 48;
    let line: String = source.chars().take_while(|c| *c >= ' ').collect();
    let mut name = String::from("[string \"");
    if line.len() == source.len() && line.len() <= LONGEST {
        name.push_str(&line);
    } else {
        let mut end = line.len().min(LONGEST - 3);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        name.push_str(&line[..end]);
        name.push_str("...");
    }
    name.push_str("\"]");
    name
}

/// A mistake in a chunk.
struct SyntaxError {
    line: usize,
    text: String,
}

/// Checks a chunk.
///
/// # Errors
///
/// The message of the compiler: `[string "print("]:1: unexpected symbol near '<eof>'`.
pub(crate) fn check(source: &str) -> Result<(), String> {
    parser::parse(source).map_err(|error| {
        let mut message = chunk_name(source);
        let _ = write!(message, ":{}: {}", error.line, error.text);
        message
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn chunks_pass() {
        let rows = [
            "",
            "return",
            "return 1, 'a', nil, true, {}, {1, 2; a = 3, [4] = 5,}, function(...) return ... end",
            "local x, y = 1; x, y.z, y[1] = y, x, x.y",
            "a.b.c:d(1)(2){3}'4'[5].e = [==[ ]] ]==]",
            "if a then elseif b then else end while true do break end repeat local x until x",
            "for i = 1, 2 do end for i = 1, 2, 3 do end for k, v in pairs(t) do break end",
            "local function f(a, ...) return select('#', ...) end function a.b.c:d() end",
            "--[[ a\nb ]] print(1) -- c\n--[==[ ]] ]==] f()",
            "return 0x1F, 1e10, 1.5e-3, .5, 3., 0x.8p1, 1LL, 0xffULL, 2i",
            "return 'a\\n\\\\\\'\\x41\\65\\z   b', \"\\u{48}\"",
            "goto done; do local x end ::done::",
            "while true do if x then goto continue end ::continue:: end",
            "goto = 1; return goto",
            "return not -#a == b ~= c .. d ^ e and f or g",
            "local t = {}\nt.x = function() return function() end end\nreturn t;",
        ];
        for row in rows {
            assert_eq!(check(row), Ok(()), "{row}");
        }
    }

    #[test]
    fn mistakes_have_the_compilers_texts() {
        let rows = [
            ("print(", "[string \"print(\"]:1: unexpected symbol near '<eof>'"),
            ("x = = 2", "[string \"x = = 2\"]:1: unexpected symbol near '='"),
            (
                "this is not lua",
                "[string \"this is not lua\"]:1: '=' expected near 'is'",
            ),
            (
                "return return",
                "[string \"return return\"]:1: unexpected symbol near 'return'",
            ),
            ("end", "[string \"end\"]:1: '<eof>' expected near 'end'"),
            ("if x then", "[string \"if x then\"]:1: 'end' expected near '<eof>'"),
            (
                "if x then\nf(",
                "[string \"if x then...\"]:2: unexpected symbol near '<eof>'",
            ),
            (
                "do\n\nf()",
                "[string \"do...\"]:3: 'end' expected (to close 'do' at line 1) near '<eof>'",
            ),
            ("a", "[string \"a\"]:1: '=' expected near '<eof>'"),
            ("(a) = 1", "[string \"(a) = 1\"]:1: syntax error near '='"),
            ("f() = 1", "[string \"f() = 1\"]:1: unexpected symbol near '='"),
            ("x = 'a", "[string \"x = 'a\"]:1: unfinished string near '<eof>'"),
            ("x = 'a\n'", "[string \"x = 'a...\"]:1: unfinished string near ''a'"),
            ("x = [[a", "[string \"x = [[a\"]:1: unfinished long string near '<eof>'"),
            ("x = 1x", "[string \"x = 1x\"]:1: malformed number near '1x'"),
            ("local 1", "[string \"local 1\"]:1: '<name>' expected near '1'"),
            ("for a b", "[string \"for a b\"]:1: '=' or 'in' expected near 'b'"),
            ("a:b", "[string \"a:b\"]:1: function arguments expected near '<eof>'"),
            ("break", "[string \"break\"]:1: no loop to break near '<eof>'"),
            (
                "function f() return ... end",
                "[string \"function f() return ... end\"]:1: cannot use '...' outside a vararg function near '...'",
            ),
            ("goto x", "[string \"goto x\"]:1: undefined label 'x'"),
            ("::x:: ::x::", "[string \"::x:: ::x::\"]:1: duplicate label 'x'"),
            ("x = @", "[string \"x = @\"]:1: unexpected symbol near '@'"),
        ];
        for (source, expected) in rows {
            assert_eq!(check(source), Err(expected.to_owned()), "{source}");
        }
    }

    #[test]
    fn long_and_deep_chunks_are_refused_in_bounded_time_and_space() {
        for text in [
            "(",
            "{",
            "f(",
            "do ",
            "x=-",
            "function f() ",
            "if x then ",
            "a=a[",
            "not ",
        ] {
            assert!(check(&text.repeat(100_000)).is_err(), "{text}");
        }
        let long = format!("return {}", "1 + ".repeat(100_000));
        assert!(check(&format!("{long}1")).is_ok());
        let name = check(&format!("{}(", "a".repeat(100))).err();
        assert!(name.is_some_and(|text| text.starts_with(&format!("[string \"{}...\"]", "a".repeat(45)))));
    }
}
