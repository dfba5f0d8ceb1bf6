{{ newest_version(source('raw', 'promises'), ['promise_id'], [
    'promise_id',
    'interaction_id',
    'loan_id',
    'made_at',
    'due_on as due_date',
    'amount as promised_amount',
]) }}
