{{ newest_version(source('raw', 'payments'), ['payment_id'], [
    'payment_id',
    'loan_id',
    'paid_at',
    'amount as payment_amount',
    'method as method_code',
    'reverses_payment_id',
    'collector_id',
]) }}
