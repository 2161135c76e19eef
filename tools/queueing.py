"""Waiting in front of several equal servers: the M/M/c queue.

Requests arrive at random (Poisson), service times are exponential, each server takes one request at a time, and one
queue feeds them all.

Source:
    Erlang (1917), Solution of some problems in the theory of probabilities of significance in automatic telephone
    exchanges; Gross, Shortle, Thompson and Harris (2008), Fundamentals of Queueing Theory, 4th ed., section 2.3.
"""

from __future__ import annotations

import math

MOST_SERVERS = 10_000


def erlang_c(servers: int, load: float) -> float:
    """The chance that a request must wait.

    Args:
        servers: c, at least 1.
        load: Arrivals times mean service time, in erlangs, at least 0; from `servers` on, all must wait.

    >>> round(erlang_c(1, 0.5), 3), round(erlang_c(2, 1.0), 4)
    (0.5, 0.3333)
    """
    if load >= servers:
        return 1.0
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)  # Erlang B, whose closed form would overflow
    return blocked / (1 - load / servers * (1 - blocked))


def mean_response(servers: int, load: float, service: float) -> float:
    """Mean time in queue and service, in the unit of `service`; inf where the queue grows without end.

    >>> mean_response(1, 0.5, 100.0)
    200.0
    """
    if load >= servers:
        return math.inf
    return service * (1 + erlang_c(servers, load) / (servers - load))


def slower_than(servers: int, load: float, service: float, limit: float) -> float:
    """The share of requests that take longer than `limit`, which is in the unit of `service`.

    >>> round(slower_than(1, 0.5, 100.0, 200.0), 4), round(math.exp(-1), 4)
    (0.3679, 0.3679)
    """
    if load >= servers:
        return 1.0
    waits, served, spare = erlang_c(servers, load), math.exp(-limit / service), servers - load
    if abs(spare - 1) < 1e-9:
        return served * (1 + waits * limit / service)
    longer = (math.exp(-spare * limit / service) - served) / (1 - spare)
    return served + waits * longer


def response_quantile(servers: int, load: float, service: float, share: float) -> float:
    """The time that `share` of the requests do not exceed; inf where the queue grows without end.

    >>> round(response_quantile(1, 0.0, 100.0, 0.95))
    300
    """
    from scipy.optimize import brentq

    if load >= servers:
        return math.inf
    most = service
    while slower_than(servers, load, service, most) > 1 - share:
        most *= 2
    return float(brentq(lambda limit: slower_than(servers, load, service, limit) - (1 - share), 0, most))
