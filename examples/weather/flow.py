"""Monthly summaries of a year of hourly temperatures. Run it with `flowkiln run examples/weather/flow.py`."""

from datetime import timedelta

import weather

from flowkiln import Flow, Parameter, task, unmapped

verify = task(weather.verify, max_retries=2, retry_delay=timedelta(seconds=2))
extract = task(weather.extract)
summarise = task(weather.summarise)
combine = task(weather.combine)
report = task(weather.report)

with Flow("weather") as flow:
    year = Parameter("year", default=2010)
    unit = Parameter("unit", default="celsius")
    output = Parameter("output", default="/tmp/weather-report")

    verified = verify()
    months = extract(year)
    summaries = summarise.map(months, unit=unmapped(unit))
    year_summary = combine(summaries)
    report(year_summary, verified, unit, output)
