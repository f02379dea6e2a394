"""What happens around a step: recording, evaluating, saving, stopping.

before_training
  └─ for every step:  before_step → after_step
                        └─ every so often:  after_evaluation,  after_checkpoint
                        └─ when the guard says so:  before_rollback
after_training | on_error,  then always  close
"""

from hunmin.training.callbacks.callback import Callback

__all__ = ["Callback"]
