"""The shapes of the answers, as JSON Schema."""

from __future__ import annotations

from typing import Any

from kexpert.http.contract import Json

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: Json = {"type": ["integer", "null"], "minimum": 0}
_LINE: Json = {"type": "integer", "minimum": 1}
_FLAG: Json = {"type": "boolean"}
_SCORE: Json = {"type": "number"}
_TEXT_OR_NULL: Json = {"type": ["string", "null"]}


def _list(item: Json) -> Json:
    return {"type": "array", "items": item}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(optional: dict[str, Json] | None = None, **required: Json) -> Json:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


SCHEMAS: dict[str, Any] = {
    "Problem": _object(title=_TEXT, status=_COUNT, detail=_TEXT),
    "Place": _object({"text": _TEXT}, path=_TEXT, line=_LINE, column=_LINE),
    "Places": _object({"names": _list(_TEXT)}, places=_list(_ref("Place")), total=_COUNT, complete=_FLAG),
    "Symbol": _object(
        {"scope": _TEXT, "text": _TEXT, "conditions": _list(_TEXT)},
        name=_TEXT, kind=_TEXT, path=_TEXT, line=_LINE, column=_LINE,
    ),
    "Card": _object(
        {
            "place": {"anyOf": [_ref("CardPlace"), {"type": "null"}]},
            "variants": _list(_ref("CardPlace")),
            "more_variants": _COUNT,
            "callers": {"type": ["integer", "null"]},
            "origin": {"enum": ["facts", "model"]},
        },
        name=_TEXT, what=_TEXT, markdown=_TEXT, html=_TEXT,
    ),
    "CardPlace": _object(path=_TEXT, line=_LINE, what=_TEXT, conditions=_list(_TEXT)),
    "Hover": _object(card={"anyOf": [_ref("Card"), {"type": "null"}]}),
    "SymbolPage": _object(
        name=_TEXT, symbols=_list(_ref("Symbol")), more=_COUNT,
        card={"anyOf": [_ref("Card"), {"type": "null"}]}, similar=_list(_TEXT), complete=_FLAG,
    ),
    "Calls": _object(
        {"passed_on": _list(_ref("Place"))},
        name=_TEXT, total=_COUNT, complete=_FLAG,
        calls=_list(_object(symbol=_ref("Symbol"), places=_list(_ref("Place")))),
    ),
    "SearchResults": _object(
        query=_TEXT, mode={"enum": ["name", "meaning"]}, files=_list(_TEXT), complete=_FLAG,
        results=_list(
            _object(
                {
                    "scope": _TEXT, "text": _TEXT, "score": _SCORE,
                    "lines": _list(_object(line=_LINE, text=_TEXT)),
                },
                name=_TEXT, kind=_TEXT, path=_TEXT, line=_LINE, column=_LINE,
            )
        ),
    ),
    "Source": _object(
        {
            "entries": _list(_object(name=_TEXT, folder=_FLAG)),
            "first": _LINE, "last": _COUNT, "lines": _COUNT, "text": _TEXT,
        },
        path=_TEXT, folder=_FLAG,
    ),
    "Outline": _object(path=_TEXT, symbols=_list(_ref("Symbol"))),
    "Explanation": _object(
        {"explanation": {"type": ["object", "null"]}, "facts": _list({"type": "object"}), "steps": _list({})},
        name=_TEXT, path=_TEXT, line=_LINE, summary={"type": "object"}, markdown=_TEXT, html=_TEXT,
    ),
    "Answer": _object(
        question=_TEXT, answer=_TEXT, origin={"enum": ["facts", "model", "sources"]},
        citations=_list(_ref("Citation")), others=_list(_ref("Citation")), model=_TEXT_OR_NULL, adapter=_TEXT_OR_NULL,
    ),
    "Citation": _object(path=_TEXT, line=_LINE, text=_TEXT),
    "Health": _object(
        status={"enum": ["ready", "indexing", "missing"]}, version=_TEXT, tree=_TEXT,
        index=_object(version=_COUNT, files=_COUNT_OR_NULL, symbols=_COUNT_OR_NULL, complete=_FLAG, writer=_FLAG),
        configuration=_TEXT,
        search=_object(vectors=_FLAG),
        model=_object(chat=_TEXT_OR_NULL, reason=_TEXT),
    ),
    "Documents": _object(
        total=_COUNT_OR_NULL, documents=_list(_object(path=_TEXT, kind=_TEXT, size=_COUNT)), next=_TEXT_OR_NULL,
    ),
    "Text": _TEXT,
}  # fmt: skip
