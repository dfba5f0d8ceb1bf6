"""The kernel of Puntual: contracts, warehouse access and the decision core. Imports none of its neighbours."""
