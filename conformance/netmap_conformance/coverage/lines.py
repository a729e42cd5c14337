"""Which lines of a C source do something, decided from the text alone.

A line without behaviour is one that the compiler would not miss, or that only gives a name and a shape to
memory: blank lines and comments, preprocessor conditionals and includes, lone braces, function headings and
prototypes, declarations without initialiser, members of a type, labels, and calls of macros that expand to
nothing. Everything else is *behaviour*, `#define` and file-level macros included.

Nothing here knows a particular document; what a reader has to judge is in ``no-behaviour.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Kinds of lines without behaviour; the empty string is behaviour.
BEHAVIOUR = ""
BLANK, COMMENT, DIRECTIVE, BRACE = "blank", "comment", "directive", "brace"
HEADING, DECLARATION, MEMBER, LABEL, EMPTY_MACRO = "heading", "declaration", "member", "label", "empty macro"
KINDS = (BLANK, COMMENT, DIRECTIVE, BRACE, HEADING, DECLARATION, MEMBER, LABEL, EMPTY_MACRO)

#: Macros that expand to nothing: netmap's own switched-off debugging.
NOTHING = ("ND",)

_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'')
_DIRECTIVE = re.compile(r"^\s*#\s*(include|if|ifdef|ifndef|else|elif|endif|undef|pragma)\b")
_BRACES = re.compile(r"^[\s{};]*(else)?[\s{};]*$")
_LABEL = re.compile(r"^\s*(?!default\b)[A-Za-z_]\w*\s*:\s*$")
_WORDS = r"[A-Za-z_]\w*"
#: `u_int i, len;`, `struct mtx *m;`, `char name[16];`: type words, then names, no `=` and no call.
_PLAIN = re.compile(
    rf"^\s*(?:{_WORDS}\s+)+\**\s*{_WORDS}(?:\[[^\]]*\])?(?:\s*,\s*\**\s*{_WORDS}(?:\[[^\]]*\])?)*\s*;\s*$"
)
_NOT_A_TYPE = re.compile(r"^\s*(return|goto|break|continue|case|else|do)\b")
_FORWARD = re.compile(rf"^\s*(?:static\s+)?(?:struct|union|enum)\s+{_WORDS}\s*;\s*$")
_TYPE = re.compile(rf"^\s*(?:typedef\s+)?(?:struct|union|enum)(?:\s+{_WORDS})?\s*{{")
_ENUM = re.compile(r"^\s*enum\s*(?:[A-Za-z_]\w*\s*)?\{[^}]*\}\s*;\s*$")
_MACRO_CALL = re.compile(r"^\s*[A-Z_][A-Z0-9_]*\s*\(")


def without_comments(lines: Mapping[int, str]) -> dict[int, str]:
    """The code of every line: comments are gone, what is between quotes is emptied."""
    code: dict[int, str] = {}
    inside = False
    for number, line in lines.items():
        kept = ""
        rest = line
        while rest:
            if inside:
                _, end, rest = rest.partition("*/")
                inside = not end
                continue
            string = _STRING.match(rest)
            if string:
                kept, rest = kept + '""', rest[string.end() :]
            elif rest.startswith("//"):
                break
            elif rest.startswith("/*"):
                inside, rest = True, rest[2:]
            else:
                kept, rest = kept + rest[0], rest[1:]
        code[number] = kept.rstrip()
    return code


def classify(lines: Mapping[int, str]) -> dict[int, str]:
    """Line number -> one of :data:`KINDS`, or :data:`BEHAVIOUR`. ``lines`` are numbered from 1 upwards."""
    code = without_comments(lines)
    kinds: dict[int, str] = {}
    block: list[int] = []  # the lines of the file-level statement being read
    depth = 0
    types = 0  # depth at which the type that is being defined was opened, 0: none
    macro: list[int] = []  # the lines of a call of an empty macro being read
    continued = False  # the line before was a directive that ends with a backslash
    for number, text in code.items():
        if not text.strip():
            kinds[number] = COMMENT if lines[number].strip() else BLANK
            continue
        if continued or text.lstrip().startswith("#"):
            kinds[number] = DIRECTIVE if not continued and _DIRECTIVE.match(text) else BEHAVIOUR
            continued = text.endswith("\\")
            continue
        if depth == 0:
            block.append(number)
            opened, closed = text.count("{"), text.count("}")
            if not opened and not text.rstrip().endswith(";"):
                continue
            whole = " ".join(code[n].strip() for n in block)
            kind = _file_level(whole)
            types = 1 if kind == MEMBER else 0
            kinds.update(dict.fromkeys(block, kind))
            if kind == HEADING and _BRACES.match(text):
                kinds[number] = BRACE
            depth = max(0, opened - closed)
            block = []
            continue
        kinds[number] = MEMBER if types else _in_function(text)
        if kinds[number] == BEHAVIOUR and (macro or _empty_macro(text)):
            macro.append(number)
            whole = " ".join(code[n] for n in macro)
            if whole.count("(") <= whole.count(")"):
                kinds.update(dict.fromkeys(macro, EMPTY_MACRO))
                macro = []
        depth += text.count("{") - text.count("}")
        if depth == 0:
            types = 0
    kinds.update(dict.fromkeys(block, BEHAVIOUR))
    return {number: kinds[number] for number in lines}


def _file_level(statement: str) -> str:
    """What a statement outside every function is: up to its first `{` or its `;`."""
    head = statement.split("{", 1)[0]
    if _TYPE.match(statement) and "=" not in head:
        return MEMBER
    if "=" in head or _MACRO_CALL.match(statement):
        return BEHAVIOUR
    if "{" in statement:
        return HEADING if "(" in head else BEHAVIOUR
    if "(" in statement or _PLAIN.match(statement) or _FORWARD.match(statement):
        return DECLARATION
    return BEHAVIOUR


def _in_function(text: str) -> str:
    """What a line inside a function is, taken by itself."""
    if _BRACES.match(text):
        return BRACE
    if _LABEL.match(text):
        return LABEL
    if _ENUM.match(text) or (_PLAIN.match(text) and not _NOT_A_TYPE.match(text)):
        return DECLARATION
    return BEHAVIOUR


def _empty_macro(text: str) -> bool:
    return any(re.match(rf"^\s*{name}\s*\(", text) for name in NOTHING)


def ranges(numbers: list[int]) -> str:
    """Sorted line numbers as a citation writes them: ``1-4, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
