from __future__ import annotations

import numpy as np

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.seasonal import fit_profile, leave_own_out, profile_at
from mm4st_agent.forecaster.slots import HOLIDAY, slots_of


def test_the_profile_follows_the_time_of_day(panel: Panel) -> None:
    observed = panel.observed()
    slots = slots_of(panel.times, panel.step_s, "US")

    usual = profile_at(fit_profile(observed, slots, panel.step_s), slots)

    assert usual.shape == observed.shape
    assert np.isnan(usual[:, 4]).all()  # never measured
    error = np.nanmean(np.abs(observed - usual)[:, :4])
    assert error < 0.5 * np.nanmean(np.abs(observed[:, :4] - np.nanmean(observed[:, :4], axis=0)))


def test_a_training_step_is_seen_as_the_other_weeks_give_it(panel: Panel) -> None:
    observed = panel.observed()[:, :4]
    slots = slots_of(panel.times, panel.step_s, "US")
    week = slots.week == slots.week[700]
    changed = observed.copy()
    changed[week] += 500

    before, after = (leave_own_out(values, slots, panel.step_s) for values in (observed, changed))

    np.testing.assert_allclose(before[week], after[week], rtol=1e-4)
    assert (np.abs(before - after)[~week] > 10).mean() > 0.9


def test_in_a_short_part_only_the_own_day_is_left_out(panel: Panel) -> None:
    observed = panel.observed()[: 10 * 48, :4]
    slots = slots_of(panel.times[: 10 * 48], panel.step_s, "US")
    day = slots.day == slots.day[100]
    changed = observed.copy()
    changed[day] += 500

    before, after = (leave_own_out(values, slots, panel.step_s) for values in (observed, changed))

    assert np.isfinite(before).all()
    np.testing.assert_allclose(before[day], after[day], rtol=1e-4)
    assert (before != after)[~day].any()


def test_a_holiday_counts_as_a_sunday(panel: Panel) -> None:
    slots = slots_of(panel.times, panel.step_s, "US")
    usual = profile_at(fit_profile(panel.observed(), slots, panel.step_s), slots)
    holiday = np.flatnonzero(slots.day_type == HOLIDAY)
    sunday = holiday - slots.per_day

    assert len(holiday) == slots.per_day
    np.testing.assert_array_equal(usual[holiday, :4], usual[sunday, :4])
