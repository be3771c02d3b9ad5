"""Schedules of flows: at intervals, once, or by a cron expression.

Dates are aware datetimes in the zone of the schedule's `start_date`, UTC without one; naive ones count as UTC.
"""

from flowkiln.schedules.cron import CronSchedule
from flowkiln.schedules.interval import IntervalSchedule, OneTimeSchedule
from flowkiln.schedules.schedule import Schedule

__all__ = ["CronSchedule", "IntervalSchedule", "OneTimeSchedule", "Schedule"]
