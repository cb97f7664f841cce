"""What a run makes small: the loss of both heads, and its refinements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.documents import LABELS
from monitor.understand.network import Network
from training.recipe import Loss
from training.rows import UNLABELLED

NEGATIVE = LABELS.index("negative")


class Objective(nn.Module):
    """The network with its loss.

    Each label's loss is a mean over the rows that carry it; a row without it teaches only the others. Topics: binary
    cross-entropy, summed over the topics that somebody decided on. Sentiment: cross-entropy. A row known only to be
    negative, or not, teaches the probability of the negative class.

    Args:
        class_weights: (3,) for the sentiment classes; None: all count alike.
        advice: weight of the teachers beside the labels, in [0, 1].
        temperature: what the teachers' probabilities were softened by.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        *,
        class_weights: Tensor | None = None,
        advice: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self._loss = loss
        self._advice = advice
        self._temperature = temperature
        self.register_buffer("class_weights", class_weights, persistent=False)

    def activation_checkpointing_enable(self, **kwargs: Any) -> None:
        """Have the encoder compute activations a second time instead of keeping them; Trainer calls it."""
        self._inputs_with_gradient().activation_checkpointing_enable(**kwargs)

    def gradient_checkpointing_enable(self, **kwargs: Any) -> None:
        """What earlier versions of transformers call `activation_checkpointing_enable`."""
        self._inputs_with_gradient().gradient_checkpointing_enable(**kwargs)

    def _inputs_with_gradient(self) -> Any:
        """The encoder. With frozen embeddings a layer's input has no gradient, and some ways to compute it again would
        then leave the layer without one, too."""
        encoder: Any = self.network.encoder
        if hasattr(encoder, "enable_input_require_grads"):
            encoder.enable_input_require_grads()
        return encoder

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        sentiment_label: Tensor,
        negative_label: Tensor,
        topic_labels: Tensor,
        taught_sentiment: Tensor | None = None,
        taught_topics: Tensor | None = None,
        other_ids: Tensor | None = None,
        other_mask: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Loss and logits of a batch; labels are UNLABELLED where nobody said.

        Args:
            other_ids, other_mask: the same texts changed such that their labels stay true, for the second pass.
        """

        def once(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            sentiment, topics = self.network(ids, mask)
            loss = self._labelled(sentiment, topics, sentiment_label, negative_label, topic_labels)
            if taught_sentiment is not None and taught_topics is not None:
                advised = self._advised(sentiment, topics, taught_sentiment, taught_topics)
                loss = (1 - self._advice) * loss + self._advice * advised
            return loss, sentiment, topics

        loss, sentiment, topics = once(input_ids, attention_mask)
        if self._loss.rdrop and self.training:
            # Dropout makes a second pass differ; both must say the same (Liang et al. 2021, "R-Drop"). So must a pass
            # over a changed text (Xie et al. 2020, "Unsupervised Data Augmentation for Consistency Training").
            second, again, topics_again = once(
                input_ids if other_ids is None else other_ids, attention_mask if other_mask is None else other_mask
            )
            apart = self._loss.sentiment * divergence(sentiment, again) + binary_divergence(topics, topics_again)
            loss = (loss + second) / 2 + self._loss.rdrop * apart
        return {"loss": loss, "sentiment": sentiment, "topics": topics}

    def _labelled(
        self, sentiment: Tensor, topics: Tensor, sentiment_label: Tensor, negative_label: Tensor, topic_labels: Tensor
    ) -> Tensor:
        loss = sentiment.sum() * 0
        known = sentiment_label != UNLABELLED
        if known.any():
            loss = loss + self._loss.sentiment * self._sentiment(sentiment[known], sentiment_label[known])
        known = (negative_label != UNLABELLED) & (sentiment_label == UNLABELLED)
        if known.any():
            logits = sentiment[known]
            rest = torch.cat([logits[:, :NEGATIVE], logits[:, NEGATIVE + 1 :]], 1)
            margin = logits[:, NEGATIVE] - torch.logsumexp(rest, 1)
            loss = loss + self._loss.sentiment * functional.binary_cross_entropy_with_logits(
                margin, negative_label[known].to(margin.dtype)
            )
        decided = topic_labels != UNLABELLED
        rows = decided.any(1)
        if rows.any():
            each = functional.binary_cross_entropy_with_logits(topics, topic_labels.clamp(min=0), reduction="none")
            if self._loss.kind == "focal":
                right = torch.where(topic_labels > 0.5, torch.sigmoid(topics), torch.sigmoid(-topics))
                each = each * (1 - right) ** self._loss.gamma
            loss = loss + (each * decided).sum() / rows.sum()
        return loss

    def _sentiment(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights: Tensor | None = self.class_weights  # type: ignore[assignment]
        if self._loss.kind == "cross_entropy":
            return functional.cross_entropy(logits, labels, weights, label_smoothing=self._loss.smoothing)
        # Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5, over the classes of a smoothed label.
        said = functional.log_softmax(logits, 1)
        meant = functional.one_hot(labels, logits.shape[1]) * (1 - self._loss.smoothing)
        meant = meant + self._loss.smoothing / logits.shape[1]
        # A class that is sure has no slope for gamma below 1, and none must not become NaN.
        wrong = (1 - said.exp()).clamp(min=torch.finfo(said.dtype).eps)
        each = -meant * wrong**self._loss.gamma * said
        return (each if weights is None else each * weights).sum(1).mean()

    def _advised(self, sentiment: Tensor, topics: Tensor, taught_sentiment: Tensor, taught_topics: Tensor) -> Tensor:
        """Divergence from the teachers at the softened temperature, times its square (Hinton et al. 2015)."""
        t = self._temperature
        said = functional.log_softmax(sentiment / t, 1)
        apart = functional.kl_div(said, taught_sentiment, reduction="batchmean") * t * t
        each = functional.binary_cross_entropy_with_logits(topics, taught_topics, reduction="none")
        return self._loss.sentiment * apart + each.sum(1).mean()


def divergence(a: Tensor, b: Tensor) -> Tensor:
    """Symmetric Kullback-Leibler divergence of the softmax of two (rows, classes) logits, mean over rows."""
    p, q = functional.log_softmax(a, 1), functional.log_softmax(b, 1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean() / 2


def binary_divergence(a: Tensor, b: Tensor) -> Tensor:
    """The same for independent yes-or-no logits: (σ(a) - σ(b)) (a - b) / 2, summed over columns, mean over rows."""
    return ((torch.sigmoid(a) - torch.sigmoid(b)) * (a - b)).sum(1).mean() / 2


def balanced(labels: Tensor, classes: int = 3) -> Tensor:
    """Weights that make every class that occurs count alike: rows / (classes · rows of the class)."""
    seen = torch.bincount(labels, minlength=classes).float()
    there = seen > 0
    return torch.where(there, seen.sum() / (there.sum() * seen.clamp(min=1)), torch.ones(classes))
