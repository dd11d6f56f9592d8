"""``initialize`` is answered with the standard library alone, in the protocol's own numbers."""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from lsprotocol.converters import get_converter

from kexpert.lsp import handshake
from kexpert.lsp.handshake import Client, initialize_result


def test_the_numbers_are_those_of_the_protocol() -> None:
    assert types.ErrorCodes.ParseError == handshake.PARSE_ERROR
    assert types.ErrorCodes.InvalidParams == handshake.INVALID_PARAMS
    assert types.ErrorCodes.ServerNotInitialized == handshake.SERVER_NOT_INITIALIZED
    assert types.TextDocumentSyncKind.Incremental == handshake.SYNC_INCREMENTAL


def test_no_capability_is_an_empty_object_which_clients_read_as_no() -> None:
    result = initialize_result(Client({}, "utf-16"))
    get_converter().structure(result, types.InitializeResult)

    def walk(value: Any, where: str) -> None:
        assert value not in ({}, [], None), where
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{where}.{key}")

    walk(result["capabilities"], "capabilities")
