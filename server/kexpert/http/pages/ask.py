"""A question in words. Without the script the answer is made from facts when the form is sent."""

from __future__ import annotations

from html import escape

from kexpert.render import ask as render_ask
from kexpert.render.html import page_link, to_html
from kexpert.workspace.served_tree import ServedTree

_EXAMPLES = (
    "which lock does vfs_rename take?",
    "when does kstrtoint return -ERANGE?",
    "who calls filp_close?",
    "what does CONFIG_PREEMPT depend on?",
    "which function is .open of ext4_file_operations?",
)


def body(tree: ServedTree, question: str) -> tuple[str, str]:
    answer = ""
    if question.strip():
        found = tree.snapshot().ask(question, use_model=False)
        answer = to_html(render_ask.to_markdown(found, page_link))
    examples = "".join(
        f'<li><a href="/ask?question={escape(each)}">{escape(each)}</a></li>' for each in _EXAMPLES
    )
    html = f"""<form class="question" id="question" action="/ask">
<label for="asked">Ask about this tree</label>
<div><input id="asked" name="question" value="{escape(question)}" maxlength="1000" required autocomplete="off"
 placeholder="which lock does vfs_rename take?"><button>Ask</button></div>
<p class="facts">Answers cite the lines that bear them out. What a model wrote is marked.</p>
</form>
<div id="answer" class="answer" aria-live="polite">{answer}</div>
<section class="try"><h2>For example</h2><ul class="examples">{examples}</ul></section>"""
    return question or "Ask", html
