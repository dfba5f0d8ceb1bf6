{{ newest_version(source('raw', 'loan_balances'), ['loan_id', 'as_of'], [
    'loan_id',
    'as_of as as_of_date',
    'outstanding_principal as outstanding_principal_amount',
    'arrears_amount',
    'days_past_due as past_due_days',
]) }}
