"""The API for people: the table of endpoints as a page. Nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

from kexpert.http.contract import Endpoint, Parameter


def body(endpoints: Sequence[Endpoint]) -> tuple[str, str]:
    groups: dict[str, list[str]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.tag, []).append(_endpoint(endpoint))
    titles = {"search": "Questions and search", "code": "Code at a place", "server": "The server"}
    sections = "".join(f"<h2>{titles[tag]}</h2>{''.join(found)}" for tag, found in groups.items())
    html = f"""<article class="docs"><h1>API</h1>
<p>Read-only. Paths are relative to the tree, lines and columns count from 1, columns count characters. Errors are
<code>application/problem+json</code> with <code>detail</code> in one line. The same as
<a href="/v1/openapi.json">OpenAPI 3.1</a> for programs.</p>
{sections}</article>"""
    return "API", html


def _endpoint(endpoint: Endpoint) -> str:
    rows = "".join(_parameter(parameter) for parameter in endpoint.parameters)
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    short = f' <span>also <code>{escape(endpoint.path)}</code></span>' if endpoint.is_short else ""
    text = f"<p>{_prose(endpoint.description)}</p>" if endpoint.description else ""
    media = ", ".join(endpoint.media_types)
    return f"""<details id="{endpoint.name}"><summary><b>{endpoint.method}</b> <code>/v1{escape(endpoint.path)}</code>
<span>{escape(endpoint.summary)}</span></summary>{text}{table}
<p>Answers with {escape(media)}{short}. {_example(endpoint)}</p></details>"""


def _parameter(parameter: Parameter) -> str:
    notes = []
    if parameter.required:
        notes.append("required")
    if parameter.choices:
        notes.append("one of " + ", ".join(parameter.choices))
    elif parameter.kind == "integer":
        notes.append(f"{parameter.low:,} to {parameter.high:,}")
    elif parameter.kind == "string":
        notes.append(f"{parameter.high:,} characters at most")
    if parameter.default not in (None, ""):
        notes.append(f"default {str(parameter.default).lower()}")
    return (
        f"<tr><th><code>{escape(parameter.name)}</code></th><td>{escape(parameter.where)}</td>"
        f"<td>{_prose(parameter.description)} <i>{escape('; '.join(notes))}</i></td></tr>"
    )


def _example(endpoint: Endpoint) -> str:
    examples = {each.name: each.example for each in endpoint.parameters if each.example is not None}
    path = endpoint.path
    for parameter in endpoint.parameters:
        if parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", str(examples.pop(parameter.name, "")))
    if endpoint.method == "POST":
        return 'Try it on <a href="/ask">/ask</a>.'
    address = f"/v1{path}" + (f"?{urlencode(examples, safe='/')}" if examples else "")
    return f'Try <a href="{escape(address)}">{escape(address)}</a>'


def _prose(text: str) -> str:
    """Text with code between backticks."""
    pieces = text.split("`")
    return "".join(f"<code>{escape(piece)}</code>" if at % 2 else escape(piece) for at, piece in enumerate(pieces))
