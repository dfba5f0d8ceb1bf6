{#-
  The semantic layer as this project uses it, read from dbt's graph, so only at execution time:
  a measure is the sum of one column of a parts table; a KPI is a metric with meta.kpi_code that is such a sum, or the ratio
  of two. What is more than that belongs in a kpi_values__ model, and is refused here with its name.
-#}

{#- The semantic model of a family: its dimensions, its measures, and whether it is a stock. -#}
{% macro kpi_family(family) -%}
    {%- set found = namespace(model=none) -%}
    {%- for model in graph.semantic_models.values() -%}
        {%- if model.name == 'kpi_' ~ family -%}{%- set found.model = model -%}{%- endif -%}
    {%- endfor -%}
    {%- if found.model is none -%}
        {{ exceptions.raise_compiler_error("kpi_" ~ family ~ " has no semantic model: write models/kpis/_kpi_" ~ family ~ "__semantic.yml") }}
    {%- endif -%}
    {%- set measures = {} -%}
    {%- for measure in found.model.measures -%}
        {%- if measure.agg | string not in ['sum', 'AggregationType.SUM'] -%}
            {{ exceptions.raise_compiler_error("measure " ~ measure.name ~ " of kpi_" ~ family ~ " is not a sum; make it a column of kpi_" ~ family ~ " that can be summed") }}
        {%- endif -%}
        {%- do measures.update({measure.name: measure.expr or measure.name}) -%}
    {%- endfor -%}
    {%- set dimensions = [] -%}
    {%- for dimension in found.model.dimensions -%}
        {%- if dimension.name in kpi_keys() -%}{%- do dimensions.append(dimension.name) -%}{%- endif -%}
    {%- endfor -%}
    {%- set date_column = found.model.defaults.agg_time_dimension -%}
    {%- if date_column not in ['as_of_date', 'activity_date'] -%}
        {{ exceptions.raise_compiler_error("kpi_" ~ family ~ ": the date is as_of_date (a stock) or activity_date (a flow), not " ~ date_column) }}
    {%- endif -%}
    {{ return({'measures': measures, 'dimensions': dimensions, 'date_column': date_column, 'is_stock': date_column == 'as_of_date'}) }}
{%- endmacro %}

{#- The keys that a family can be broken down by: its own, the branch's province and the collector's agency. -#}
{% macro kpi_family_keys(family) -%}
    {%- set own = kpi_family(family).dimensions -%}
    {%- set keys = [] -%}
    {%- for key in kpi_keys() -%}
        {%- if key in own or (key == 'province' and 'branch_id' in own) or (key == 'agency' and 'collector_id' in own) -%}
            {%- do keys.append(key) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(keys) }}
{%- endmacro %}

{#- The measure behind a metric, as {family, measure}. -#}
{% macro kpi_measure_of(metric_name, asked_by) -%}
    {%- set found = namespace(metric=none, family=none) -%}
    {%- for metric in graph.metrics.values() -%}
        {%- if metric.name == metric_name -%}{%- set found.metric = metric -%}{%- endif -%}
    {%- endfor -%}
    {%- if found.metric is none -%}
        {{ exceptions.raise_compiler_error("metric " ~ asked_by ~ " names " ~ metric_name ~ ", which is no metric; give its measure create_metric: true") }}
    {%- endif -%}
    {%- if found.metric.type | string not in ['simple', 'MetricType.SIMPLE'] or found.metric.filter -%}
        {{ exceptions.raise_compiler_error("metric " ~ asked_by ~ " is built on " ~ metric_name ~ ", which is not the plain sum of a measure; make a column of what it means") }}
    {%- endif -%}
    {%- set measure = found.metric.type_params.measure.name -%}
    {%- for family in kpi_families() -%}
        {%- if measure in kpi_family(family).measures -%}{%- set found.family = family -%}{%- endif -%}
    {%- endfor -%}
    {%- if found.family is none -%}
        {{ exceptions.raise_compiler_error("metric " ~ asked_by ~ ": the measure " ~ measure ~ " is in no family of kpi_families()") }}
    {%- endif -%}
    {{ return({'family': found.family, 'measure': measure}) }}
{%- endmacro %}

{#-
  Every KPI of the semantic layer, in the order of its code: {code, numerator, denominator}; a sum has no denominator. With
  meta.missing_numerator: unknown a ratio of two families is NULL where the numerator's has nothing to say, else it is 0.
-#}
{% macro kpi_metrics() -%}
    {%- set codes = {} -%}
    {%- for metric in graph.metrics.values() -%}
        {%- set code = (metric.config.meta or {}).get('kpi_code') -%}
        {%- if code -%}
            {%- if code in codes -%}
                {{ exceptions.raise_compiler_error("the metrics " ~ codes[code].name ~ " and " ~ metric.name ~ " both have the kpi_code " ~ code) }}
            {%- endif -%}
            {%- set kind = metric.type | string -%}
            {%- if kind in ['simple', 'MetricType.SIMPLE'] -%}
                {%- do codes.update({code: {'code': code, 'name': metric.name, 'numerator': kpi_measure_of(metric.name, metric.name), 'denominator': none}}) -%}
            {%- elif kind in ['ratio', 'MetricType.RATIO'] and not metric.filter -%}
                {%- do codes.update({code: {
                    'code': code,
                    'name': metric.name,
                    'numerator': kpi_measure_of(metric.type_params.numerator.name, metric.name),
                    'denominator': kpi_measure_of(metric.type_params.denominator.name, metric.name),
                    'is_unknown_without_numerator': metric.config.meta.get('missing_numerator') == 'unknown',
                }}) -%}
            {%- else -%}
                {{ exceptions.raise_compiler_error("metric " ~ metric.name ~ " is neither a sum nor a ratio without filter; write a kpi_values__ model for " ~ code) }}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set sorted_metrics = [] -%}
    {%- for code in codes | sort -%}{%- do sorted_metrics.append(codes[code]) -%}{%- endfor -%}
    {{ return(sorted_metrics) }}
{%- endmacro %}
