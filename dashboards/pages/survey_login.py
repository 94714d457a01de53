"""Where the survey's administrator signs in; then the admin page takes its place."""

from __future__ import annotations

import streamlit as st

from bench.errors import BenchError
from dashboards import sign_in

st.title("Survey admin")
with st.form("sign-in", border=False, width=420):
    password = st.text_input(
        "Password", type="password", autocomplete="current-password", max_chars=1000
    )
    if st.form_submit_button("Sign in", type="primary"):
        try:
            if sign_in.sign_in(password):
                st.rerun()
            st.error("That is not the password.")
        except BenchError as error:
            st.error(str(error))
st.caption("You stay signed in, in this tab only, until you reload it or leave it for an hour.")
