//! The owner's SQL: read token by token, so that `:name` becomes a driver's parameter and nothing
//! else of it changes.
//!
//! This is not a parser of SQL. It knows where text, comments and quoted names end, and refuses
//! whatever could make one query two, close the parenthesis we put it in, or write.

use crate::file::Driver;

/// A query whose parameters were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pieces: Vec<Piece>,
    /// Parameter names, each once, in the order of first use.
    parameters: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(usize),
}

/// Why a query is refused, and where in it (a byte offset).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatementFault {
    pub(crate) message: String,
    pub(crate) offset: usize,
}

struct Scanner<'a> {
    sql: &'a str,
    at: usize,
    driver: Driver,
}

/// What the scanner steps over. Quoted names and text stay whole.
enum Token<'a> {
    Comment,
    Parameter(&'a str),
    Punctuation(char),
    Quoted,
    Space,
    Word(&'a str),
}

// === impl Statement ===

impl Statement {
    pub(crate) fn parse(sql: &str, driver: Driver) -> Result<Self, StatementFault> {
        if sql.len() > MAX_QUERY_BYTES {
            return Err(fault(0, "the query is longer than 64 KiB"));
        }
        let mut statement = Self {
            pieces: Vec::new(),
            parameters: Vec::new(),
        };
        let mut scanner = Scanner { sql, at: 0, driver };
        let mut depth: usize = 0;
        let mut first = true;
        let mut ended = None;
        let mut after_dot = false;
        while let Some((start, token)) = scanner.token()? {
            let blank = matches!(token, Token::Comment | Token::Space);
            if let (Some(end), false) = (ended, blank) {
                return Err(fault(end, "only one statement is allowed"));
            }
            if first && !blank && !matches!(token, Token::Word(_)) {
                return Err(fault(start, "a query starts with SELECT or WITH"));
            }
            match &token {
                Token::Word(word) if !after_dot => {
                    let upper = word.to_ascii_uppercase();
                    if first && upper != "SELECT" && upper != "WITH" {
                        return Err(fault(start, "a query starts with SELECT or WITH"));
                    }
                    if WRITES.contains(&upper.as_str()) {
                        return Err(fault(
                            start,
                            format!("{upper} is not for a read-only source"),
                        ));
                    }
                }
                Token::Punctuation('(') => depth += 1,
                Token::Punctuation(')') => {
                    depth = depth
                        .checked_sub(1)
                        .ok_or_else(|| fault(start, "this parenthesis closes nothing"))?;
                }
                Token::Punctuation(';') => {
                    ended = Some(start);
                    continue;
                }
                _ => {}
            }
            match token {
                Token::Parameter(name) => statement.push_parameter(start, name)?,
                // Comments go: one left open to the end of its line must not swallow our text.
                Token::Comment => statement.push_text(" "),
                _ => statement.push_text(&sql[start..scanner.at]),
            }
            if !blank {
                first = false;
                after_dot = matches!(token, Token::Punctuation('.'));
            }
        }
        if depth != 0 {
            return Err(fault(sql.len(), "a parenthesis is not closed"));
        }
        if first {
            return Err(fault(0, "the query is empty"));
        }
        Ok(statement)
    }

    /// The parameters' names, in the order their values are bound.
    pub(crate) fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The query as a driver reads it: only `columns` of it, at most `limit` rows.
    ///
    /// `width` is the most characters PostgreSQL sends of one value.
    pub(crate) fn render(
        &self,
        driver: Driver,
        columns: &[&str],
        limit: u64,
        width: u64,
    ) -> String {
        let mut sql = String::from("SELECT ");
        if columns.is_empty() {
            sql.push('1');
        }
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                sql.push_str(", ");
            }
            let column = column.replace('"', "\"\"");
            match driver {
                Driver::Postgres => sql += &format!("left(q.\"{column}\"::text, {width})"),
                Driver::Sqlite => sql += &format!("q.\"{column}\""),
            }
        }
        sql.push_str(" FROM (\n");
        self.write_body(driver, &mut sql);
        sql += &format!("\n) AS q LIMIT {limit}");
        sql
    }

    /// The query with every mapped column as it is, to learn the columns' types.
    pub(crate) fn render_plain(&self, driver: Driver, columns: &[&str]) -> String {
        let quoted: Vec<String> = columns
            .iter()
            .map(|column| format!("q.\"{}\"", column.replace('"', "\"\"")))
            .collect();
        let selected = if quoted.is_empty() {
            "1".to_owned()
        } else {
            quoted.join(", ")
        };
        let mut sql = format!("SELECT {selected} FROM (\n");
        self.write_body(driver, &mut sql);
        sql.push_str("\n) AS q LIMIT 1");
        sql
    }

    fn write_body(&self, driver: Driver, sql: &mut String) {
        for piece in &self.pieces {
            match (piece, driver) {
                (Piece::Text(text), _) => sql.push_str(text),
                (Piece::Parameter(index), Driver::Postgres) => *sql += &format!("${}", index + 1),
                (Piece::Parameter(index), Driver::Sqlite) => *sql += &format!("?{}", index + 1),
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn push_parameter(&mut self, start: usize, name: &str) -> Result<(), StatementFault> {
        let known = self.parameters.iter().position(|known| known == name);
        let index = match known {
            Some(index) => index,
            None if self.parameters.len() == MAX_PARAMETERS => {
                return Err(fault(start, "a query has at most 100 parameters"));
            }
            None => {
                self.parameters.push(name.to_owned());
                self.parameters.len() - 1
            }
        };
        self.pieces.push(Piece::Parameter(index));
        Ok(())
    }
}

// === impl Scanner ===

impl<'a> Scanner<'a> {
    fn token(&mut self) -> Result<Option<(usize, Token<'a>)>, StatementFault> {
        let start = self.at;
        let rest = &self.sql[start..];
        let Some(c) = rest.chars().next() else {
            return Ok(None);
        };
        let postgres = self.driver == Driver::Postgres;
        let token = match c {
            c if c.is_whitespace() => {
                self.skip_while(char::is_whitespace);
                Token::Space
            }
            '-' if rest.starts_with("--") => {
                self.skip_while(|c| c != '\n' && c != '\r');
                Token::Comment
            }
            '/' if rest.starts_with("/*") => {
                self.skip_block_comment(start)?;
                Token::Comment
            }
            '\'' => {
                self.skip_quoted(start, '\'', false)?;
                Token::Quoted
            }
            '"' => {
                self.skip_quoted(start, '"', false)?;
                Token::Quoted
            }
            '`' if !postgres => {
                self.skip_quoted(start, '`', false)?;
                Token::Quoted
            }
            '[' if !postgres => {
                let end = rest
                    .find(']')
                    .ok_or_else(|| fault(start, "this bracket is not closed"))?;
                self.at = start + end + 1;
                Token::Quoted
            }
            '$' if postgres => {
                self.skip_dollar_quoted(start)?;
                Token::Quoted
            }
            '?' | '@' | '$' if !postgres => {
                return Err(fault(start, "parameters are written :name"));
            }
            ':' if rest.starts_with("::") || rest.starts_with(":=") => {
                self.at += 2;
                Token::Punctuation(':')
            }
            ':' => {
                self.at += 1;
                let name = self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_');
                // PostgreSQL writes array slices [lower:upper]; a number is one, not a parameter.
                let leads = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                match (leads, postgres) {
                    (true, _) => Token::Parameter(name),
                    (false, true) => Token::Punctuation(':'),
                    (false, false) => return Err(fault(start, "parameters are written :name")),
                }
            }
            c if c.is_alphabetic() || c == '_' => self.word(start)?,
            c if c.is_ascii_digit() => {
                self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                Token::Quoted
            }
            '\0' => return Err(fault(start, "the query holds a NUL character")),
            c => {
                self.at += c.len_utf8();
                Token::Punctuation(c)
            }
        };
        Ok(Some((start, token)))
    }

    /// A bare word, or one of PostgreSQL's prefixed texts: `E'…'`, `U&'…'`, `B'…'`, `X'…'`, `N'…'`.
    fn word(&mut self, start: usize) -> Result<Token<'a>, StatementFault> {
        let word = self.skip_while(|c| c.is_alphanumeric() || c == '_' || c == '$');
        let rest = &self.sql[self.at..];
        if self.driver == Driver::Postgres && rest.starts_with('\'') && word.len() == 1 {
            let escapes = word.eq_ignore_ascii_case("e");
            self.skip_quoted(start, '\'', escapes)?;
            return Ok(Token::Quoted);
        }
        Ok(Token::Word(word))
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.sql[self.at..];
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Steps over a quoted text or name; the quote doubled stands for itself.
    fn skip_quoted(
        &mut self,
        start: usize,
        quote: char,
        escapes: bool,
    ) -> Result<(), StatementFault> {
        let mut chars = self.sql[self.at..].char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            if escapes && c == '\\' {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    self.at += offset + c.len_utf8();
                    return Ok(());
                }
            }
        }
        Err(fault(start, "this quote is not closed"))
    }

    /// PostgreSQL's `$tag$ … $tag$`; its own parameters `$1` are refused.
    fn skip_dollar_quoted(&mut self, start: usize) -> Result<(), StatementFault> {
        let rest = &self.sql[start..];
        let inner = &rest[1..];
        let end = inner
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(inner.len());
        if inner.starts_with(|c: char| c.is_ascii_digit()) || !inner[end..].starts_with('$') {
            return Err(fault(start, "parameters are written :name"));
        }
        let tag = &rest[..end + 2];
        let body = &rest[tag.len()..];
        let close = body
            .find(tag)
            .ok_or_else(|| fault(start, "this dollar quote is not closed"))?;
        self.at = start + tag.len() + close + tag.len();
        Ok(())
    }

    /// Block comments nest in PostgreSQL and not in SQLite.
    fn skip_block_comment(&mut self, start: usize) -> Result<(), StatementFault> {
        let mut depth = 1;
        self.at = start + 2;
        while depth > 0 {
            let rest = &self.sql[self.at..];
            if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
            } else if rest.starts_with("/*") && self.driver == Driver::Postgres {
                depth += 1;
                self.at += 2;
            } else {
                match rest.chars().next() {
                    Some(c) => self.at += c.len_utf8(),
                    None => return Err(fault(start, "this comment is not closed")),
                }
            }
        }
        Ok(())
    }
}

fn fault(offset: usize, message: impl Into<String>) -> StatementFault {
    StatementFault {
        message: message.into(),
        offset,
    }
}

/// Words that no read-only query needs bare; as a column's name they are written after a dot or in
/// quotes. The source refuses writes too: this is so that an owner hears of it before the start.
const WRITES: [&str; 26] = [
    "ALTER",
    "ATTACH",
    "CALL",
    "COPY",
    "CREATE",
    "DELETE",
    "DETACH",
    "DO",
    "DROP",
    "EXECUTE",
    "GRANT",
    "INSERT",
    "INTO",
    "LO_CREATE",
    "LO_IMPORT",
    "LO_UNLINK",
    "LOCK",
    "MERGE",
    "NEXTVAL",
    "PRAGMA",
    "REVOKE",
    "SETVAL",
    "SET_CONFIG",
    "TRUNCATE",
    "UPDATE",
    "VACUUM",
];

const MAX_QUERY_BYTES: usize = 64 * 1024;
const MAX_PARAMETERS: usize = 100;

#[cfg(test)]
mod tests;
