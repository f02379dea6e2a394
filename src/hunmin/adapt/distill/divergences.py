"""How far a student's probabilities are from a teacher's, and the way back.

Shapes: N places, K outcomes. Outcomes may be all entries of the vocabulary, or the teacher's
likeliest ones and one more that stands for all the rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hunmin.core.errors import InputError

FORWARD, REVERSE = 0.0, 1.0
LOG_FLOOR = -69.0
"""Logarithms below this (1e-30) count as this: an outcome ruled out has no slope of infinity."""


def check_beta(beta: float) -> None:
    """Raise InputError unless `beta` is between 0 and 1."""
    if not 0.0 <= beta <= 1.0:
        raise InputError(
            "the divergence has no such beta",
            where="student.divergence",
            given=beta,
            allowed="0 (forward KL) to 1 (reverse KL)",
        )


def divergence(
    log_teacher_NK: Tensor, log_student_NK: Tensor, beta: float = FORWARD
) -> tuple[Tensor, Tensor]:
    """Return the divergence at each place and its slopes.

    Args:
        log_teacher_NK: Log-probabilities, float32; each row adds up to 1.
        log_student_NK: The same of the student.
        beta: 0 is KL(teacher || student), which covers all the teacher says; 1 is
            KL(student || teacher), which keeps the student to what the teacher finds likely;
            between, the generalised Jensen-Shannon divergence.

    Returns:
        Nats, shape (N), and the flow q * d(divergence)/dq, shape (N, K), up to a constant times
        q, which softmax takes out again: slopes of its inputs are flow - q * sum of the flow.

    Source:
        Agarwal et al. 2024, GKD (arXiv:2306.13649), eq. 1. As there, the ends are the two KL
        divergences themselves; the formula between would vanish there.
    """
    log_p = log_teacher_NK.clamp(min=LOG_FLOOR)
    log_q = log_student_NK.clamp(min=LOG_FLOOR)
    p = log_p.exp()
    if beta == FORWARD:
        return (p * (log_p - log_q)).sum(-1), -p
    q = log_q.exp()
    if beta == REVERSE:
        flow = q * (log_q - log_p)
        return flow.sum(-1), flow
    log_m = torch.logaddexp(log_p + math.log(beta), log_q + math.log(1 - beta))
    flow = (1 - beta) * q * (log_q - log_m)
    return beta * (p * (log_p - log_m)).sum(-1) + flow.sum(-1), flow
