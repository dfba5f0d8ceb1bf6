"""The latent willingness to pay of every member, followed week by week through what they owed and paid."""
