"""How near a text is to a reference: chrF, smoothed BLEU-4, ROUGE-L, and a paired bootstrap to compare two writers.

Our own short code, because published numbers of code summaries come from one script (CodeXGLUE's), not from a library.
All scores are 0 to 100.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_CHAR_ORDER, _BETA = 6, 2.0
_BLEU_ORDER = 4
#: CodeXGLUE splits words from punctuation, NIST's tokenizer then splits underscores off.
_BLEU_TOKEN = re.compile(r"[^\W_]+|_|[^\s\w]")
_ROUGE_TOKEN = re.compile(r"[a-z0-9]+")
_SPACE = re.compile(r"\s+")


def chrf(answer: str, reference: str) -> float:
    """Sentence chrF (Popović 2015) as sacrebleu computes it: character 1- to 6-grams, beta 2, no white space."""
    return _chrf(_chrf_counts(answer, reference))


def chrf_corpus(answers: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF as sacrebleu computes it: the n-grams of all sentences are counted together."""
    totals = [[0, 0, 0] for _ in range(_CHAR_ORDER)]
    for answer, reference in zip(answers, references, strict=True):
        for total, counts in zip(totals, _chrf_counts(answer, reference), strict=True):
            total[:] = [left + right for left, right in zip(total, counts, strict=True)]
    return _chrf([(total[0], total[1], total[2]) for total in totals])


def _chrf_counts(answer: str, reference: str) -> list[tuple[int, int, int]]:
    """(n-grams of the answer, of the reference, of both) for each n. Without any in the reference, the answer's count
    is 0, as in sacrebleu."""
    answer, reference = _SPACE.sub("", answer), _SPACE.sub("", reference)
    counts = []
    for size in range(1, _CHAR_ORDER + 1):
        given, wanted = _ngrams(answer, size), _ngrams(reference, size)
        counts.append((given.total() if wanted else 0, wanted.total(), (given & wanted).total()))
    return counts


def _chrf(counts: Sequence[tuple[int, int, int]]) -> float:
    used = [each for each in counts if each[0] and each[1]]  # an n that both are long enough for
    if not used:
        return 0.0
    precision = math.fsum(both / given for given, _, both in used) / len(used)
    recall = math.fsum(both / wanted for _, wanted, both in used) / len(used)
    if precision + recall == 0:
        return 0.0
    return 100 * (1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall)


def _ngrams(text: str | Sequence[str], size: int) -> Counter[object]:
    return Counter(tuple(text[at : at + size]) for at in range(len(text) - size + 1))


def bleu4(answer: str, reference: str) -> float:
    """Sentence BLEU-4, smoothed as in CodeXGLUE's code-to-text: one is added to the counts of 2- to 4-grams.

    Its brevity penalty is exp(1 - (reference + 1) / (answer + 1)) for an answer that is shorter. Mean over sentences.
    """
    given, wanted = (_BLEU_TOKEN.findall(text.strip().lower()) for text in (answer, reference))
    logs = 0.0
    for size in range(1, _BLEU_ORDER + 1):
        own = _ngrams(given, size)
        both = (own & _ngrams(wanted, size)).total()
        smooth = 0 if size == 1 else 1
        if both + smooth == 0:
            return 0.0
        logs += math.log((both + smooth) / (own.total() + smooth))
    penalty = min(0.0, 1 - (len(wanted) + 1) / (len(given) + 1))
    return 100 * math.exp(logs / _BLEU_ORDER + penalty)


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L F1 (Lin 2004): the longest common subsequence of lower-case words."""
    given, wanted = (_ROUGE_TOKEN.findall(text.lower()) for text in (answer, reference))
    if not given or not wanted:
        return 0.0
    row = [0] * (len(wanted) + 1)
    for word in given:
        previous = 0
        for at, other in enumerate(wanted, 1):
            previous, row[at] = row[at], previous + 1 if word == other else max(row[at], row[at - 1])
    return 200 * row[-1] / (len(given) + len(wanted))


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of ``left`` minus that of ``right``, with its 95 % interval and a two-sided p-value."""

    mean: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    left: Sequence[float], right: Sequence[float], samples: int = 2_000, seed: int = 0
) -> Difference:
    """Compare two writers by their scores on the same functions (Koehn 2004, by resampling the functions).

    ``p`` is twice the part of the samples in which the sign is the other one, at least 1 / ``samples``.
    """
    differences = [one - other for one, other in zip(left, right, strict=True)]
    count = len(differences)
    if not count:
        return Difference(math.nan, math.nan, math.nan, math.nan)
    rng = random.Random(seed)
    means = sorted(math.fsum(rng.choices(differences, k=count)) / count for _ in range(samples))
    other_sign = min(sum(mean <= 0 for mean in means), sum(mean >= 0 for mean in means))
    p = min(1.0, max(2 * other_sign / samples, 1 / samples))
    return Difference(
        math.fsum(differences) / count, means[int(0.025 * samples)], means[min(int(0.975 * samples), samples - 1)], p
    )
