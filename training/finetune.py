"""Fine-tuning: an encoder's low-rank adapters and two heads, taught together by transformers' Trainer and PEFT."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.documents import LABELS
from monitor.errors import InputError
from monitor.understand.encoders import EncoderSource, find_encoder, load_encoder, load_tokenizer
from monitor.understand.network import Network
from monitor.understand.normalise import normalise
from training.data.examples import Example
from training.recipe import FineTuning, Recipe

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)
UNLABELLED = -100


@dataclass(frozen=True)
class Trained:
    """What a run leaves: tensors (`sentiment.*`, `topics.*` and `encoder.MATRIX.lora_a/_b`) and where it began."""

    tensors: Mapping[str, Tensor]
    encoder: Path


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised examples: token ids, sentiment class or UNLABELLED, a 0/1 vector of topics or None."""

    def __init__(self, examples: Sequence[Example], topics: Sequence[str], tokenizer: Tokenizer, cut: int) -> None:
        place = {topic: index for index, topic in enumerate(topics)}
        tokenizer.enable_truncation(cut)
        encoded = tokenizer.encode_batch_fast([normalise(example.text) for example in examples])
        tokenizer.no_truncation()
        self._rows = []
        for example, encoding in zip(examples, encoded, strict=True):
            vector = None
            if example.topics is not None:
                vector = np.zeros(len(topics), np.float32)
                vector[[place[topic] for topic in example.topics]] = 1
            label = UNLABELLED if example.sentiment is None else LABELS.index(example.sentiment)
            self._rows.append({"input_ids": encoding.ids, "sentiment_label": label, "topic_labels": vector})

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._rows[index]


@dataclass(frozen=True)
class Collator:
    """Rows to one padded batch."""

    pad: int
    topics: int

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        length = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), length), self.pad)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        topics = torch.full((len(rows), self.topics), float(UNLABELLED))
        for index, row in enumerate(rows):
            size = len(row["input_ids"])
            ids[index, :size] = torch.tensor(row["input_ids"])
            mask[index, :size] = 1
            if row["topic_labels"] is not None:
                topics[index] = torch.from_numpy(row["topic_labels"])
        labels = torch.tensor([row["sentiment_label"] for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "sentiment_label": labels, "topic_labels": topics}


class TwoTasks(nn.Module):
    """The network with its loss: weighted cross-entropy of sentiment plus binary cross-entropy summed over topics.

    Each task's loss is a mean over the rows that carry its label; a row without it teaches only the other.
    """

    def __init__(self, network: Network, sentiment_weight: float) -> None:
        super().__init__()
        self.network = network
        self.sentiment_weight = sentiment_weight

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, sentiment_label: Tensor, topic_labels: Tensor
    ) -> dict[str, Tensor]:
        """Loss and logits of a batch; labels are UNLABELLED where nobody said."""
        sentiment, topics = self.network(input_ids, attention_mask)
        loss = sentiment.sum() * 0
        known = sentiment_label != UNLABELLED
        if known.any():
            loss = loss + self.sentiment_weight * functional.cross_entropy(sentiment[known], sentiment_label[known])
        known = topic_labels[:, 0] != UNLABELLED
        if known.any():
            each = functional.binary_cross_entropy_with_logits(topics[known], topic_labels[known], reduction="none")
            loss = loss + each.sum(1).mean()
        return {"loss": loss, "sentiment": sentiment, "topics": topics}


def fine_tune(
    recipe: Recipe, taught: Sequence[Example], held: Sequence[Example], topics: Sequence[str], out: Path
) -> Trained:
    """Teach the recipe's encoder.

    Args:
        taught, held: examples whose topics are all in `topics`; the epoch that does best on `held` is kept.
        out: folder for checkpoints (`checkpoints/`); a run that was cut off goes on from the last one.

    Raises:
        InputError: the packages that training needs are not installed.
        BundleError: the encoder cannot be had.
    """
    try:
        from peft import LoraConfig, get_peft_model
        from transformers import Trainer, TrainingArguments
        from transformers.trainer_utils import get_last_checkpoint, set_seed
    except ImportError as error:
        raise InputError(f"training needs more packages: pip install 'bellwether[train]' ({error})") from None

    if recipe.encoder is None:
        raise InputError(f"recipe {recipe.name}: names no encoder")
    plan = recipe.finetune
    torch.set_num_threads(plan.threads or os.cpu_count() or 1)
    set_seed(plan.seed)
    folder = find_encoder(EncoderSource(recipe.encoder.name, recipe.encoder.revision))
    tokenizer = load_tokenizer(folder)
    encoder = load_encoder(folder)
    adapters = LoraConfig(
        r=plan.rank, lora_alpha=plan.alpha, lora_dropout=plan.dropout / 2, target_modules=list(plan.adapt)
    )
    adapted = get_peft_model(encoder, adapters)
    network = Network(adapted, pooling=recipe.encoder.pooling, topics=len(topics), dropout=plan.dropout)
    model = TwoTasks(network, plan.sentiment_weight)
    learned = sum(value.numel() for value in model.parameters() if value.requires_grad)
    log.info("%s: %d texts to teach, %d held out, %d weights learn", recipe.name, len(taught), len(held), learned)
    checkpoints = out / "checkpoints"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch,
        per_device_eval_batch_size=64,
        learning_rate=plan.rate,
        lr_scheduler_type="cosine",
        warmup_steps=plan.warmup,
        max_grad_norm=1.0,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="mean_accuracy",
        label_names=["sentiment_label", "topic_labels"],
        logging_steps=50,
        bf16=plan.bf16,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to="none",
        seed=plan.seed,
    )
    cut = plan.max_tokens
    pad = int(encoder.config.pad_token_id or 0)  # type: ignore[union-attr, arg-type]
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=Collator(pad, len(topics)),
        train_dataset=Rows(taught, topics, tokenizer, cut),
        eval_dataset=Rows(held, topics, tokenizer, cut),
        compute_metrics=_accuracies,
        optimizers=(_optimizer(network, plan), None),
    )
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    return Trained(adapters_and_heads(network), folder)


def _optimizer(network: Network, plan: FineTuning) -> torch.optim.Optimizer:
    """AdamW with a rate for the adapters and one for the heads, which start from nothing."""
    learning = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
    heads = [value for name, value in learning if not name.startswith("encoder.")]
    adapters = [value for name, value in learning if name.startswith("encoder.")]
    groups = [{"params": adapters, "lr": plan.rate}, {"params": heads, "lr": plan.head_rate}]
    return torch.optim.AdamW(groups, lr=plan.rate, weight_decay=plan.weight_decay)


def _accuracies(prediction: Any) -> dict[str, float]:
    sentiment, topics = prediction.predictions
    labels, vectors = prediction.label_ids
    found = {}
    known = labels != UNLABELLED
    if known.any():
        found["sentiment_accuracy"] = float((sentiment[known].argmax(1) == labels[known]).mean())
    known = (vectors[:, 0] != UNLABELLED) & (vectors.sum(1) > 0)
    if known.any():
        # Right when the likeliest topic is one of the text's own.
        best = topics[known].argmax(1)
        found["topic_accuracy"] = float(vectors[known][np.arange(known.sum()), best].mean())
    found["mean_accuracy"] = float(np.mean(list(found.values()))) if found else 0.0
    return found


def adapters_and_heads(network: Network, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """What a trained network learned, under the names a bundle uses."""
    found = {}
    for name, value in network.state_dict().items():
        value = value.detach().to("cpu", dtype).contiguous()
        if name.startswith(("sentiment.", "topics.")):
            found[name] = value
        elif ".lora_" in name:
            matrix, which = name.removeprefix("encoder.base_model.model.").split(".lora_", 1)
            found[f"encoder.{matrix}.lora_{which.removeprefix('embedding_')[0].lower()}"] = value
    return found
