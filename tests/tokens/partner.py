"""The Python side of tests/golden_tokens.rs: what Python itself makes of JSON, and which characters it escapes."""

import json
import sys
import unicodedata

from serve import serve

# As Pyot 3.1.1 and 6.0.9 put them together (PY-T); the packages' own strings are the golden data and pyot_6.json.


def version_3(model, server, method, params, queries):
    return (model + server + method + str(params) + str(queries)).replace(" ", "_")


def version_6(model, server, method, params, queries):
    path = "/".join(str(value) for value in params.values())
    query = "&".join(f"{name}={value}" for name, value in queries.items())
    head = f"{model}/{server}/{method}" if server else f"{model}/{method}"
    return head + ("/" + path if path else "") + ("?" + query if query else "")


def token(form, names, params, queries):
    """The token; None where Python does not read the JSON, or the token cannot be encoded."""
    try:
        params, queries = json.loads(params), json.loads(queries)
    except (ValueError, RecursionError):
        return None
    text = {3: version_3, 6: version_6}[form](*names, params, queries)
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def tokens(cases):
    return [token(**case) for case in cases]


def unicode():
    return unicodedata.unidata_version


def printable():
    """First and last of all ranges of printable code points."""
    ranges = []
    for code in range(sys.maxunicode + 1):
        if chr(code).isprintable():
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return ranges


serve({"tokens": tokens, "unicode": unicode, "printable": printable})
