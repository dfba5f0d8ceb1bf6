"""When the day runs by itself."""

import dagster as dg

from pipelines.jobs import daily_refresh


def morning_schedule(timezone: str) -> dg.ScheduleDefinition:
    """The whole day at five in the institution's morning, before anyone opens a list."""

    @dg.schedule(
        name="daily_refresh_morning",
        job=daily_refresh,
        cron_schedule="0 5 * * *",
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs the business date that has just begun.",
    )
    def daily_refresh_morning(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        day = context.scheduled_execution_time.date().isoformat()
        return dg.RunRequest(run_key=f"morning-{day}", partition_key=day)

    return daily_refresh_morning
