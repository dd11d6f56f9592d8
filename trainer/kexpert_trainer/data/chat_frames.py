"""What stands around the messages of a chat, for families that have no ChatML.

The forms are those that llama.cpp applies for a template of the family, with which an adapter is served. The own
template of Llama 3.1 also puts in dates, which an adapter must not depend on.
"""

from __future__ import annotations

from dataclasses import dataclass

from kexpert.prompt.chat import END, START

_ROLE = "ROLE"


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """``before`` (with ``ROLE`` for the role) and ``after`` surround each message; ``end`` ends an answer."""

    name: str
    bos: str
    before: str
    after: str
    start: str  # the special token with which ``before`` begins
    end: str

    def opening(self, role: str) -> str:
        """What precedes a message of a role."""
        return self.before.replace(_ROLE, role)

    @property
    def jinja(self) -> str:
        """The frame as a chat template."""
        before = self.opening("' + message['role'] + '")
        each = f"{{{{ '{before}' + message['content'] + '{self.after}' }}}}"
        begin = f"{{{{ '{self.bos}' }}}}" if self.bos else ""
        asked = f"{{% if add_generation_prompt %}}{{{{ '{self.opening('assistant')}' }}}}{{% endif %}}"
        return f"{begin}{{% for message in messages %}}{each}{{% endfor %}}{asked}".replace("\n", "\\n")

    @property
    def ollama(self) -> str:
        """The frame as a template of Ollama, which puts in ``bos`` itself."""
        each = f"{self.opening('{{ .Role }}')}{{{{ .Content }}}}{self.after}"
        return f"{{{{- range .Messages }}}}{each}{{{{ end }}}}{self.opening('assistant')}"


CHATML = ChatFrame("ChatML", "", f"{START}{_ROLE}\n", f"{END}\n", START, END)
#: In the order in which they are looked for. A tokenizer has the markers of one.
FRAMES = (
    CHATML,
    ChatFrame(
        "Llama 3", "<|begin_of_text|>", f"<|start_header_id|>{_ROLE}<|end_header_id|>\n\n", "<|eot_id|>",
        "<|start_header_id|>", "<|eot_id|>",
    ),
    ChatFrame(
        "Granite 3", "", f"<|start_of_role|>{_ROLE}<|end_of_role|>", "<|end_of_text|>\n", "<|start_of_role|>",
        "<|end_of_text|>",
    ),
)  # fmt: skip
