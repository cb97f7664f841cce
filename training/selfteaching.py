"""Runs that need no label: transformers' Trainer over texts in our own order, gone on with when it was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.arguments import arguments
from training.order import Order
from training.recipe import Recipe


def trainer(
    recipe: Recipe, model: Any, rows: Any, collate: Any, order: Order, checkpoints: Path, record: Path, **told: Any
) -> Any:
    """A Trainer that looks at nothing but its loss and keeps its last checkpoints.

    Args:
        rows: the texts; their `epoch`, if they have one, follows the run's, as the order's does.
        record: the folder of TensorBoard's record.
        told: TrainingArguments of this run's own, `save_steps` among them.
    """
    from transformers import Trainer, TrainerCallback

    from training.checkpoints import Complete

    class OrderedTrainer(Trainer):
        def _get_train_sampler(self, *_given: Any) -> Order:
            return order

    class Epochs(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            rows.epoch = order.epoch = int(state.epoch or 0)

    return OrderedTrainer(
        model=model,
        args=arguments(
            recipe.schedule,
            record,
            output_dir=str(checkpoints),
            save_strategy="steps",
            # Not one: Trainer deletes the old before the new is marked as whole.
            save_total_limit=2,
            eval_strategy="no",
            logging_steps=min(50, told["save_steps"]),
            **told,
        ),
        data_collator=collate,
        train_dataset=rows,
        callbacks=[Epochs(), Complete()],
    )
