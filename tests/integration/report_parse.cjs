// Read reports with mailparser: report_parse.cjs MAIL... ; a line of JSON a mail.
const fs = require('fs');
const { simpleParser } = require('mailparser');

(async () => {
    for (const file of process.argv.slice(2)) {
        const mail = await simpleParser(fs.readFileSync(file));
        console.log(JSON.stringify({
            from: mail.from.text,
            subject: mail.subject,
            automatic: mail.headers.get('auto-submitted'),
            text: mail.text,
            parts: mail.attachments.map(part => [part.contentType, part.content.toString('utf8')]),
        }));
    }
})();
