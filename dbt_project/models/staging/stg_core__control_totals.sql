{{ newest_version(source('raw', 'control_totals'), ['as_of', 'branch_id', 'product'], [
    'as_of as as_of_date',
    'branch_id',
    'product as product_code',
    'loan_count',
    'outstanding_principal as outstanding_principal_amount',
    'arrears_amount',
]) }}
