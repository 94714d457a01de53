import streamlit as st
st.title('survey')
