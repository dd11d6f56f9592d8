"""Twenty fixed prompts, on which exports and merges are compared. The code in them is ours."""

from __future__ import annotations

from kexpert.prompt.chat import (
    Message,
    answer_prompt,
    explanation_prompt,
    kernel_doc_prompt,
    summary_prompt,
)

_FUNCTIONS = (
    ("drivers/gizmo/core.c", """int gizmo_start(struct gizmo *gz, unsigned int mode)
{
	int ret;

	if (!gz->clk)
		return -ENODEV;
	ret = clk_prepare_enable(gz->clk);
	if (ret)
		return ret;
	writel(mode, gz->base + GIZMO_CTRL);
	return 0;
}"""),
    ("drivers/gizmo/irq.c", """static irqreturn_t gizmo_irq(int irq, void *data)
{
	struct gizmo *gz = data;
	u32 status = readl(gz->base + GIZMO_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, gz->base + GIZMO_STATUS);
	complete(&gz->done);
	return IRQ_HANDLED;
}"""),
    ("mm/gizmo_cache.c", """void *gizmo_cache_alloc(struct gizmo_cache *cache, gfp_t flags)
{
	void *object;

	spin_lock(&cache->lock);
	object = list_empty(&cache->free) ? NULL : gizmo_take_first(cache);
	spin_unlock(&cache->lock);
	return object ?: kmalloc(cache->size, flags);
}"""),
    ("fs/gizmofs/inode.c", """static struct inode *gizmofs_iget(struct super_block *sb, unsigned long ino)
{
	struct inode *inode = iget_locked(sb, ino);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode->i_state & I_NEW))
		return inode;
	inode->i_op = &gizmofs_inode_operations;
	unlock_new_inode(inode);
	return inode;
}"""),
    ("net/gizmo/queue.c", """static unsigned int gizmo_queue_len(const struct gizmo_queue *q)
{
	return (q->head - q->tail) & (q->size - 1);
}"""),
    ("kernel/gizmo.c", """void gizmo_wait_idle(struct gizmo *gz, unsigned long timeout)
{
	might_sleep();
	wait_event_timeout(gz->wait, !atomic_read(&gz->busy), timeout);
}"""),
)  # fmt: skip
_QUESTIONS = (
    ("Which lock does gizmo_cache_alloc take?", (("mm/gizmo_cache.c:5", "spin_lock(&cache->lock);"),)),
    ("What does gizmo_start return without a clock?", (("drivers/gizmo/core.c:6", "return -ENODEV;"),)),
)


def check_prompts() -> list[list[Message]]:
    """The prompts: summary, kernel-doc and explanation of six functions, and two questions."""
    made: list[list[Message]] = []
    for path, code in _FUNCTIONS:
        made += [
            summary_prompt(path, code, [("gizmo_stop", "Stop the gizmo")]),
            kernel_doc_prompt(path, code),
            explanation_prompt(path, code, ["It is static."] if code.startswith("static") else []),
        ]
    return made + [answer_prompt(question, sources) for question, sources in _QUESTIONS]
