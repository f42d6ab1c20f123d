"""Redaction of secrets in what is shown: messages, logs, reports, events and health pages.

Passwords are in URLs in more spellings than a standard allows, because people type them. So a part that may be a secret
is hidden, even if a strict parser would read it as something else: too much rather than too little.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["HIDDEN", "is_secret_name", "redact", "redact_url"]

HIDDEN = "***"
"""What is shown in place of a secret."""

_PLACEHOLDERS = (HIDDEN, "PASSWORD")  # "PASSWORD" is what messages write for it.
_MAX_DECODINGS = 3  # URLs inside of URLs are encoded twice.
_MIN_TOKEN = 20  # characters of a user name without a password that is a token

Span = tuple[int, int]

# Words of the names of parameters, headers and settings: in any position, as a whole word, as the end of a word.
_STEMS = frozenset({
    "accesskey", "apikey", "authent", "authoriz", "bearer", "cookie", "credential", "oauth", "passcode", "passphrase",
    "passw", "psw", "pwd", "secret", "sessid", "session", "signature", "token",
    # "password" in other languages, which the pages of cameras and recorders are written in.
    "contrasen", "haslo", "heslo", "kennwort", "losenord", "motdepasse", "parola", "senha", "wachtwoord",
})  # fmt: skip
_WORDS = frozenset({
    "accesscode", "auth", "authcode", "clave", "code", "cred", "creds", "hmac", "jwt", "key", "keys", "mdp",
    "otp", "pas", "pass", "pin", "pincode", "psd", "psk", "pw", "sas", "sess", "sid", "sig", "sign", "ticket",
    "tkn", "totp",
})  # fmt: skip
_ENDINGS = ("pas", "pass", "pw", "key", "auth", "userpin", "loginpin")
_NAMES_OF_FILES = ("file", "path")
_SEPARATORS = frozenset("?&#;/=,:\"'{}()[]<>| \t\r\n\\")


def redact(text: str, files: Iterable[str] = ()) -> str:
    """Return a message with the secrets of the URLs, headers, parameters and JSON in it replaced by ``***``.

    ``files`` has names of files. A message that begins with one and a colon, also after an option, is about that file:
    "secret: no such file". Any other name of this kind is that of a secret, "secret: hunter2".
    """
    if not _may_hold_secret(text):
        return text
    option = re.match(r"(?:--[a-z-]{1,80} )?", text)
    begin = option.end() if option else 0
    for name in files:
        if text.startswith(f"{name}: ", begin):
            begin += len(name) + 2
            return text[:begin] + redact(text[begin:])
    patterns = _patterns()
    text = patterns.bearer.sub(rf"\1\2{HIDDEN}", text)  # before "name=Bearer" loses its second word
    text = patterns.word.sub(lambda match: _redact_word(match[0]), text)
    text = patterns.quoted.sub(lambda match: _redact_word(match[0]), text)
    text = patterns.header.sub(_hide_header, text)
    text = patterns.quoted_pair.sub(lambda m: _hide_pair(m, m[2], f"{m[1]}{m[2]}{m[1]}{m[3]}", m[4]), text)
    return patterns.spaced_pair.sub(lambda m: _hide_pair(m, m[1], m[1] + m[2], m[3]), text)


def redact_url(url: str) -> str:
    """Return a URL, or another value of an option that may be one, with its secrets replaced by ``***``.

    All of ``url`` is taken for one URL: a password may hold any character, spaces too.
    """
    shown = _hide(url, [*_userinfo(url), *_parameters(url)])
    if "eyJ" in shown:
        shown = _patterns().jwt.sub(HIDDEN, shown)
    decoded = shown
    for _ in range(_MAX_DECODINGS):
        if "%" not in decoded:
            break
        previous, decoded = decoded, unquote(decoded, errors="surrogateescape")
        if decoded == previous:
            break
        spans = [*_encoded_userinfo(shown, decoded), *_parameters(decoded)]
        hidden = _hide(decoded, spans)
        if hidden != decoded:
            return redact_url(hidden) if "%" in hidden else hidden
    return shown


def _may_hold_secret(text: str) -> bool:
    lowered = text.lower()
    return any(sign in text for sign in "@=%") or any(
        word in lowered for word in (*_STEMS, "pin", "code", "key", "eyj")
    )


class _Patterns(NamedTuple):
    """What a message is searched for."""

    header: re.Pattern[str]
    quoted_pair: re.Pattern[str]
    spaced_pair: re.Pattern[str]
    bearer: re.Pattern[str]
    jwt: re.Pattern[str]
    word: re.Pattern[str]
    quoted: re.Pattern[str]


@functools.cache
def _patterns() -> _Patterns:
    """Compile the patterns, at the first message that may need them: it takes milliseconds."""
    value = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|"""
    return _Patterns(
        # A line that begins with one of the last ones and a colon is a header, or YAML.
        header=re.compile(
            r"(?im)(?<![^\s'\"(\[{,])((?:proxy-)?authorization|(?:set-)?cookie2?"
            r"|x-[\w-]{0,40}(?:key|token|auth|secret|signature|session)[\w-]{0,40})(\s{0,8}:\s{0,8})(\S[^\r\n]*)"
            r"|^(\s*(?:password|passwd|pwd|passphrase|token|secret|api[-_]?key|access[-_]token|client[-_]secret))"
            r"(\s{0,8}:\s{1,8})(\S[^\r\n]*)"
        ),
        quoted_pair=re.compile(rf"""(["'])([^"'\s]{{1,80}})\1(\s{{0,8}}[:=]\s{{0,8}}){value}[^\s,}}\]]+)"""),
        spaced_pair=re.compile(rf"""([\w.-]{{1,80}})(\s{{1,8}}=\s{{0,8}}|=\s{{1,8}}|=(?=["'])){value}\S+)"""),
        bearer=re.compile(r"(?i)\b(bearer|basic)(\s{1,8})([\w.~+/-]{8,}=*)(?!=)(?=$|[\s,;:'\"])"),
        jwt=re.compile(r"\beyJ[\w-]{5,2000}\.[\w-]{5,4000}(?:\.[\w-]{0,2000})?"),
        word=re.compile(r"\S+"),
        quoted=re.compile(r"""(?<!\w)(?:"[^"\n]*"|'[^'\n]*')(?!\w)"""),
    )


def _redact_word(text: str) -> str:
    """Redact a word, or a quoted part, without the punctuation around it."""
    word = text.rstrip(",;:.)]}>…\"'")
    inner = word.lstrip("\"'")
    return word[: len(word) - len(inner)] + redact_url(inner) + text[len(word) :]


def _hide_header(match: re.Match[str]) -> str:
    name, colon = (match[1], match[2]) if match[1] else (match[4], match[5])
    return f"{name}{colon}{HIDDEN}"


def _hide_pair(match: re.Match[str], name: str, head: str, value: str) -> str:
    if not is_secret_name(name):
        return match[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{head}{quote}{HIDDEN}{quote}"


def is_secret_name(name: str) -> bool:
    """Return whether a parameter, header, setting or option of this name has a secret: "apiKey", "--web-token"."""
    for _ in range(_MAX_DECODINGS):
        name = unquote(name)
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    flat = re.sub(r"[^a-z]", "", name.lower())
    if words and words[-1] in _NAMES_OF_FILES:
        return False
    return (
        any(stem in flat for stem in _STEMS)
        or any(word in _WORDS or word.endswith(_ENDINGS) for word in words)
        or flat in _WORDS
    )


def _userinfo(url: str) -> Iterator[Span]:
    """Yield where the password of ``scheme://user:password@host`` is, with or without scheme: up to the last ``@``."""
    end = url.rfind("@")
    if end < 0:
        return
    begin = url.find(":")
    begin = begin + 3 if url.startswith("://", begin) and begin < end else 0
    colon = re.compile(r":|%(?:25)*3A", re.IGNORECASE).search(url, begin, end)
    if colon is not None:
        yield colon.end(), end
    elif begin and re.fullmatch(rf"[\w~.-]{{{_MIN_TOKEN},}}", url[begin:end]):
        yield begin, end


def _encoded_userinfo(url: str, decoded: str) -> Iterator[Span]:
    """Yield the password of a URL whose ``@``, or all of which, is percent-encoded."""
    scheme = url.find("://")
    authority = re.split(r"[/?#]", url[scheme + 3 :], maxsplit=1)[0] if scheme >= 0 else url
    is_nested = decoded.count("://") > (scheme >= 0)
    if is_nested or re.search(r"%(?:25)*40", authority):
        yield from _userinfo(decoded)


def _parameters(url: str) -> Iterator[Span]:
    """Yield the values of ``name=value`` with a secret name, up to the next ``&``."""
    for match in re.finditer("=", url):
        begin = match.start()
        while begin and url[begin - 1] not in _SEPARATORS:
            begin -= 1
        if is_secret_name(url[begin : match.start()]):
            begin = match.end() + (url[match.end() : match.end() + 1] in ("'", '"'))
            end = url.find("&", begin)
            yield begin, len(url) if end < 0 else end


def _hide(text: str, spans: list[Span]) -> str:
    """Replace the spans, which may overlap, by ``***``."""
    parts, place = [], 0
    merged: list[list[int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([begin, end])
    for begin, end in merged:
        value = text[begin:end]
        parts += [text[place:begin], value if value.strip("\"'") in _PLACEHOLDERS else HIDDEN if value else ""]
        place = end
    return "".join([*parts, text[place:]])
