"""From logits to text: vocabulary, token healing, balanced brackets, greedy decoding."""
