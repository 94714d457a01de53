"""The listening survey's place; there is none open yet."""

import streamlit as st

st.title("Listening survey")
st.info("No survey is open, and none has been closed yet.")
st.markdown(
    "In a blind survey people hear clips without knowing who made them, rate them, and say whether"
    " a human could have composed them. Results appear here, and on the leaderboard, only once a"
    " survey is closed."
)
