"""One file for each tool the agent can call; `ALL_TOOLS` is the registry."""

from __future__ import annotations

from tools.assess_hazard import ASSESS_HAZARD
from tools.backtest import BACKTEST
from tools.check_quality import CHECK_QUALITY
from tools.compare_series import COMPARE_SERIES
from tools.describe_dataset import DESCRIBE_DATASET
from tools.detect_patterns import DETECT_PATTERNS
from tools.explain_forecast import EXPLAIN_FORECAST
from tools.find_analogs import FIND_ANALOGS
from tools.find_places import FIND_PLACES
from tools.forecast import FORECAST
from tools.plan_capacity import PLAN_CAPACITY
from tools.plan_route import PLAN_ROUTE
from tools.query_series import QUERY_SERIES
from tools.rank_forecasts import RANK_FORECASTS
from tools.rank_places import RANK_PLACES
from tools.render_map import RENDER_MAP
from tools.render_series import RENDER_SERIES
from tools.retrieve_context import RETRIEVE_CONTEXT
from tools.what_if import WHAT_IF

ALL_TOOLS = (
    DESCRIBE_DATASET,
    FIND_PLACES,
    QUERY_SERIES,
    RANK_PLACES,
    CHECK_QUALITY,
    COMPARE_SERIES,
    DETECT_PATTERNS,
    RENDER_SERIES,
    RENDER_MAP,
    RETRIEVE_CONTEXT,
    FORECAST,
    RANK_FORECASTS,
    FIND_ANALOGS,
    WHAT_IF,
    EXPLAIN_FORECAST,
    BACKTEST,
    PLAN_ROUTE,
    PLAN_CAPACITY,
    ASSESS_HAZARD,
)

__all__ = ["ALL_TOOLS"]
