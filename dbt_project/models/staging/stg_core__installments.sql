{{ newest_version(source('raw', 'installments'), ['loan_id', 'installment_no'], [
    'loan_id',
    'installment_no',
    'due_on as due_date',
    'principal_due as principal_due_amount',
    'interest_due as interest_due_amount',
    'fees_due as fees_due_amount',
]) }}
