"""Fine-tuning: an encoder and two heads, taught together by transformers' Trainer."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.errors import InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.network import Network
from training import processes
from training.adversary import Adversary
from training.arguments import arguments
from training.data.examples import Example
from training.objective import Objective, balanced
from training.optimiser import make_optimiser
from training.order import Order
from training.recipe import Recipe, Schedule
from training.rows import UNLABELLED, Advice, Collator, Rows
from training.tuning import check, counts, tuned

log = logging.getLogger(__name__)
EAGER = 128
"""Tokens up to which attention is written out on a CPU; it takes memory by their square."""


@dataclass(frozen=True)
class Lesson:
    """What a run teaches from.

    `taught` and `held` carry only topics of `topics`; the look that does best on `held` is kept. `change` makes
    another text of the same meaning; `advice` is what teachers say of `taught`.
    """

    taught: Sequence[Example]
    held: Sequence[Example]
    topics: Sequence[str]
    change: Callable[[Example], str] | None = None
    advice: Advice | None = None


def fine_tune(
    recipe: Recipe,
    lesson: Lesson,
    encoder_folder: Path,
    workplace: Path,
    *,
    heads: Mapping[str, torch.Tensor] | None = None,
) -> Network:
    """Teach the encoder of a folder by the recipe; the network as it was at its best look.

    Args:
        heads: weights and biases the heads begin at; None: random ones.
        workplace: checkpoints (`checkpoints/`) and TensorBoard's record (`tensorboard/`) go there; a run that was cut
            off goes on from the last checkpoint.

    Raises:
        InputError: the packages that training needs are not installed, or the encoder does not fit the recipe.
    """
    try:
        from transformers.trainer_utils import set_seed

        from training.adalora import Pruning, adaptive
        from training.checkpoints import Complete, Patience, last_complete
    except ImportError as error:
        raise InputError(f"training needs more packages: pip install 'bellwether[train]' ({error})") from None
    if recipe.encoder is None:
        raise InputError(f"recipe {recipe.name}: names no encoder")

    plan = recipe.schedule
    torch.set_num_threads(plan.threads or processes.threads())
    set_seed(plan.seed)
    tokenizer = load_tokenizer(encoder_folder)
    encoder = load_encoder(encoder_folder)
    check(recipe, encoder)
    pad = int(encoder.config.pad_token_id or 0)  # type: ignore[union-attr, arg-type]
    taught = Rows(
        lesson.taught,
        lesson.topics,
        tokenizer,
        plan.max_tokens,
        change=lesson.change,
        advice=lesson.advice,
        twice=lesson.change is not None and recipe.loss.rdrop > 0,
        seed=plan.seed,
    )
    order = Order(
        taught.lengths,
        plan.batch * plan.accumulate * processes.count(),
        plan.seed,
        seldom=[place for place, row in enumerate(lesson.taught) if row.target is not None],
        share=recipe.toward_share,
    )
    each = math.ceil(len(order) / (plan.batch * processes.count()))
    steps = max(1, math.ceil(math.ceil(each / plan.accumulate) * plan.epochs))
    checkpoints = workplace / "checkpoints"
    told = _arguments(plan, checkpoints, workplace, steps)
    if told.device.type == "cpu" and plan.max_tokens <= EAGER:
        # Written out, attention and its dropout take less of a CPU than the fused kernel's way back: a step of a
        # 12-layer encoder in bfloat16 0.72 s against 0.86 s.
        encoder.set_attn_implementation("eager")  # type: ignore[operator]
    longest = max(plan.max_tokens, recipe.encoder.max_tokens)
    network = Network(
        tuned(encoder, recipe.tuning, dropout=plan.dropout / 2, steps=steps, length=longest),
        pooling=recipe.encoder.pooling,
        topics=len(lesson.topics),
        dropout=plan.dropout,
    )
    if heads is not None:
        network.load_state_dict(dict(heads), strict=False)
    sentiments = torch.tensor([LABELS.index(row.sentiment) for row in lesson.taught if row.sentiment])
    model = Objective(
        network,
        recipe.loss,
        class_weights=balanced(sentiments) if recipe.loss.class_weights == "balanced" and len(sentiments) else None,
        advice=recipe.distil.weight if lesson.advice is not None else 0.0,
        temperature=recipe.distil.temperature,
    )
    size = counts(model)
    log.info(
        "%s: %d texts to teach, %d held out, %d of %d weights learn, %d steps",
        recipe.name,
        len(lesson.taught),
        len(lesson.held),
        size["learn"],
        size["weights"],
        steps,
    )
    pruning = Pruning(network) if adaptive(network) is not None else None
    with processes.in_turn():
        last = last_complete(checkpoints)
    callbacks = [Patience(plan.patience)] if plan.patience else []
    adversary = Adversary(encoder, recipe.loss.adversarial) if recipe.loss.adversarial else None
    trainer = _trainer_class()(
        adversary=adversary,
        order=order,
        model=model,
        args=told,
        data_collator=Collator(pad),
        train_dataset=taught,
        eval_dataset=Rows(lesson.held, lesson.topics, tokenizer, plan.max_tokens),
        compute_metrics=scores,
        optimizers=(make_optimiser(network, plan), None),
        callbacks=[*callbacks, _epochs(taught, order), *([pruning] if pruning else []), Complete()],
    )
    if last:
        log.info("%s: goes on from %s", recipe.name, last)
        if pruning:
            pruning.load(last)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if adversary:
        adversary.leave()
    return network.eval()


def _arguments(plan: Schedule, checkpoints: Path, workplace: Path, steps: int) -> Any:
    from transformers import TrainingArguments

    known = {field.name for field in fields(TrainingArguments)}
    recompute = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    every = min(steps, max(1, round(steps / plan.epochs / plan.checks)))
    return arguments(
        plan,
        workplace / "tensorboard",
        output_dir=str(checkpoints),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=plan.accumulate,
        learning_rate=plan.rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(plan.curve, plan.curve),
        max_grad_norm=1.0,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        label_names=["sentiment_label", "negative_label", "topic_labels"],
        logging_steps=50,
        **({recompute: True} if plan.checkpointing else {}),
    )


def _trainer_class() -> Any:
    from transformers import Trainer

    from training.adalora import WEIGHT, adaptive, orthogonality

    class AdversarialTrainer(Trainer):
        """The Trainer, with our order of texts and, if there is an adversary, a second pass against it in each step."""

        def __init__(self, *, adversary: Adversary | None, order: Order, **given: Any) -> None:
            super().__init__(**given)
            self._adversary = adversary
            self._order = order
            self._adaptive = adaptive(given["model"]) is not None

        def _get_train_sampler(self, *_given: Any) -> Order:
            return self._order

        def _run_epoch(self, *given: Any, **named: Any) -> None:
            # A run that was cut off when it had just ended would learn one step more.
            if not self.control.should_training_stop and self.state.global_step < self.state.max_steps:
                super()._run_epoch(*given, **named)

        def compute_loss(self, model: Any, *given: Any, **named: Any) -> Any:
            found: Any = super().compute_loss(model, *given, **named)
            if self._adaptive and model.training:
                return found + WEIGHT * orthogonality(model)
            return found

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            if self._adversary is not None:
                with self._adversary.moved() as moves:
                    if moves:
                        super().training_step(model, inputs, num_items_in_batch)
            return loss

    return AdversarialTrainer


def _epochs(taught: Rows, order: Order) -> Any:
    from transformers import TrainerCallback

    class Epochs(TrainerCallback):
        """Tells the texts and their order which epoch it is."""

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            taught.epoch = order.epoch = int(state.epoch or 0)

    return Epochs()


@torch.inference_mode()
def looked_at(network: Network, rows: Rows) -> dict[str, float]:
    """What a look at some texts finds of a network outside of a run; see `scores`."""
    from types import SimpleNamespace

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.eval().to(device)
    collate = Collator(int(network.encoder.config.pad_token_id or 0))  # type: ignore[union-attr, arg-type]
    said, labels = [], []
    for begin in range(0, len(rows), 64):
        batch = collate([rows[index] for index in range(begin, min(begin + 64, len(rows)))])
        answer = network(batch["input_ids"].to(device), batch["attention_mask"].to(device))
        said.append([part.cpu().numpy() for part in answer])
        labels.append([batch[name].numpy() for name in ("sentiment_label", "negative_label", "topic_labels")])
    return scores(
        SimpleNamespace(
            predictions=[np.concatenate(part) for part in zip(*said, strict=True)],
            label_ids=[np.concatenate(part) for part in zip(*labels, strict=True)],
        )
    )


def scores(prediction: Any) -> dict[str, float]:
    """What a look at the held-out texts finds; `score` is the mean of the others."""
    sentiment, topics = prediction.predictions
    labels, negatives, vectors = prediction.label_ids
    found: dict[str, float] = {}
    known = labels != UNLABELLED
    if known.any():
        said, meant = sentiment[known].argmax(1), labels[known]
        found["sentiment_accuracy"] = float((said == meant).mean())
        found["sentiment_macro_f1"] = float(np.mean([_f1(said == c, meant == c) for c in np.unique(meant)]))
    known = (negatives != UNLABELLED) & ~known
    if known.any():
        said = sentiment[known].argmax(1) == LABELS.index("negative")
        found["negative_accuracy"] = float((said == (negatives[known] == 1)).mean())
    known = (vectors > 0).any(1)
    if known.any():
        # Right when the likeliest topic is one of the text's own.
        hits = vectors[known][np.arange(known.sum()), topics[known].argmax(1)] > 0
        found["topic_accuracy"] = float(hits.mean())
        decided = vectors != UNLABELLED
        found["topic_micro_f1"] = _f1((topics > 0)[decided], (vectors > 0)[decided])
    found["score"] = float(np.mean(list(found.values()))) if found else 0.0
    return found


def _f1(said: NDArray[np.bool_], meant: NDArray[np.bool_]) -> float:
    return float(2 * (said & meant).sum() / max(1, said.sum() + meant.sum()))
