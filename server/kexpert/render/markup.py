"""The interface by which an answer is written as Markdown or as plain text."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Markup(ABC):
    """Turns pieces of an answer into text. No method changes its argument's meaning."""

    #: Between the sections of a card.
    separator: str

    @abstractmethod
    def words(self, text: str) -> str:
        """Prose, shown as it is written."""

    @abstractmethod
    def code(self, text: str) -> str:
        """A piece of code within a line."""

    def place(self, path: str, line: int) -> str:
        """A place in the tree, ``line`` from 0; a link where the reader can follow one."""
        return self.code(f"{path}:{line + 1}")

    @abstractmethod
    def block(self, text: str) -> str:
        """C code on lines of its own."""

    @abstractmethod
    def strong(self, text: str) -> str:
        """A heading; ``text`` is marked up already."""

    @abstractmethod
    def restructured_text(self, text: str) -> str:
        """Paragraphs, lists and literal blocks of a kernel-doc comment or a page under Documentation."""

    @abstractmethod
    def cross_references(self, text: str) -> str:
        """One line of kernel-doc: ``func()``, ``&struct foo``, ``%CONST``, ``@param``."""

    @abstractmethod
    def titled(self, title: str, text: str) -> str:
        """A section of a comment under its title; ``text`` is marked up already."""

    @abstractmethod
    def prompt(self, text: str) -> str:
        """Prose of a Kconfig file: no cross references."""

    @abstractmethod
    def option_help(self, text: str) -> str:
        """The help of a Kconfig option: paragraphs and lists without cross references."""
