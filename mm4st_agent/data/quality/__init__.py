"""How far a data set can be trusted: what is missing, stuck, jumping, shifted, impossible or contradictory."""

from mm4st_agent.data.quality.assess import assess, completeness
from mm4st_agent.data.quality.report import ChannelQuality, Completeness, Fault, QualityReport

__all__ = ["ChannelQuality", "Completeness", "Fault", "QualityReport", "assess", "completeness"]
