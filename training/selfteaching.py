"""Runs that need no label: transformers' Trainer over texts in our own order, gone on with when it was cut off."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from training import processes
from training.arguments import arguments
from training.order import Order
from training.recipe import Pretraining, Recipe, Student

log = logging.getLogger(__name__)


def teach(
    recipe: Recipe,
    plan: Pretraining | Student,
    model: Any,
    rows: Any,
    collate: Any,
    workplace: Path,
    name: str,
    *,
    save_every: int = 0,
    **told: Any,
) -> Path:
    """Teach a model; the folder of its checkpoints, to be removed once what was learned is written.

    Transformers' Trainer looks at nothing but the loss and keeps its last checkpoints.

    Args:
        rows: the texts, with their `lengths`; their `epoch`, if they have one, follows the run's, as the order's does.
        workplace: checkpoints (`NAME/`) and TensorBoard's record (`tensorboard/NAME/`) go there.
        save_every: steps; 0: a tenth of them.
        told: TrainingArguments of this run's own.
    """
    from transformers import Trainer, TrainerCallback

    from training.checkpoints import Complete, last_complete

    order = Order(rows.lengths, plan.batch * processes.count(), recipe.schedule.seed)
    steps = max(1, round(len(rows) / (plan.batch * processes.count()) * plan.epochs))
    saved = max(1, min(steps, save_every or steps // 10))
    checkpoints = workplace / name
    log.info("%s: %s on %d texts, %d steps", recipe.name, name, len(rows), steps)
    with processes.in_turn():
        last = last_complete(checkpoints)

    class OrderedTrainer(Trainer):
        def _get_train_sampler(self, *_given: Any) -> Order:
            return order

    class Epochs(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            rows.epoch = order.epoch = int(state.epoch or 0)

    OrderedTrainer(
        model=model,
        args=arguments(
            recipe.schedule,
            workplace / "tensorboard" / name,
            output_dir=str(checkpoints),
            num_train_epochs=plan.epochs,
            per_device_train_batch_size=plan.batch,
            learning_rate=plan.rate,
            save_strategy="steps",
            save_steps=saved,
            # Not one: Trainer deletes the old before the new is marked as whole.
            save_total_limit=2,
            eval_strategy="no",
            logging_steps=min(50, saved),
            **told,
        ),
        data_collator=collate,
        train_dataset=rows,
        callbacks=[Epochs(), Complete()],
    ).train(resume_from_checkpoint=str(last) if last else None)
    return checkpoints
