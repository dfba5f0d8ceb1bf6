{#-
  Whether a UTC timestamp lies on a local day after the last finished run's and up to this one's; never on a full build.
  `run` is control.run_parameters. The plain comparison comes first: turning every timestamp of a table into a local one is
  slow, and no time zone is more than 14 hours away from UTC.
-#}
{% macro fell_into_the_run(timestamp_column) -%}
    {{ timestamp_column }} >= run.built_as_of_date
    and {{ local_date(timestamp_column) }} > run.built_as_of_date
    and {{ local_date(timestamp_column) }} <= run.as_of_date
{%- endmacro %}
