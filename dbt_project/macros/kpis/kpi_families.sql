{#- Parts tables that have a semantic model: kpis.kpi_<family>, summed by intermediate.int_kpi_sums__<family>. One per line. -#}
{% macro kpi_families() -%}
    {{ return([
        'portfolio',
        'risk',
        'decisions',
        'recovery',
        'contacts',
        'promises',
        'messages',
    ]) }}
{%- endmacro %}

{#- Models of KPIs that are no sum and no ratio of sums. One per line. -#}
{% macro kpi_value_models() -%}
    {{ return([
        'kpi_values__cohort_recovery',
        'kpi_values__collection',
        'kpi_values__concentration',
        'kpi_values__contactability',
        'kpi_values__coverage',
        'kpi_values__cures',
        'kpi_values__days_to_payment',
        'kpi_values__distribution',
        'kpi_values__first_contact',
        'kpi_values__first_payments',
        'kpi_values__intensity',
        'kpi_values__lines',
        'kpi_values__message_failures',
        'kpi_values__net_recovery',
        'kpi_values__payment_mix',
        'kpi_values__promise_ageing',
        'kpi_values__reconciliation',
        'kpi_values__roll_rates',
        'kpi_values__time_to_cure',
        'kpi_values__vintages',
        'kpi_values__write_offs',
    ]) }}
{%- endmacro %}

{#- What a KPI can be broken down by: the code of the grain and its columns. -#}
{% macro kpi_grains() -%}
    {{ return({
        'total': [],
        'branch': ['branch_id'],
        'product': ['product_code'],
        'segment': ['segment_code'],
        'bucket': ['bucket_code'],
        'collector': ['collector_id'],
        'agency': ['agency'],
        'channel': ['channel_code'],
        'campaign': ['campaign_id'],
        'province': ['province'],
        'branch_product': ['branch_id', 'product_code'],
    }) }}
{%- endmacro %}

{#- The columns of every grain, in the order of the long table. -#}
{% macro kpi_keys() -%}
    {{ return([
        'branch_id', 'product_code', 'segment_code', 'bucket_code', 'collector_id', 'agency', 'channel_code', 'campaign_id',
        'province',
    ]) }}
{%- endmacro %}

{#-
  The key columns of a row of one grain for a hand-written kpi_values__ model: the grain's own columns, read from `relation`,
  and NULL for the others.
-#}
{% macro kpi_key_columns(grain_code, relation) -%}
    {%- set own = kpi_grains()[grain_code] -%}
    {%- for key in kpi_keys() -%}
        {%- if key in own -%}{{ relation }}.{{ key }}{%- else -%}cast(null as text){%- endif %} as {{ key }}{% if not loop.last %},
    {% endif %}
    {%- endfor -%}
{%- endmacro %}
