"""The legend of semantic tokens, without imports: ``initialize`` is answered before anything is loaded.

A test compares it with ``features.decorations.semantic_tokens``. "method" is a call or a table entry of an operation.
"perCpu" and "config" are modifiers of ours; the extension and the plugin give them colours.
"""

TOKEN_TYPES = (
    "macro", "function", "method", "parameter", "variable", "property", "enumMember", "type", "struct", "enum", "label",
)  # fmt: skip
TOKEN_MODIFIERS = ("definition", "static", "perCpu", "config")
