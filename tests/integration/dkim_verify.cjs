// Verify mails with mailauth: dkim_verify.cjs RECORDS MAIL... ; as dkim_verify.pl does.
const fs = require('fs');
const { dkimVerify } = require('mailauth/lib/dkim/verify');

const [recordsFile, ...mails] = process.argv.slice(2);
const records = new Map(fs.readFileSync(recordsFile, 'utf8').trim().split('\n').map(line => {
    const at = line.indexOf(' ');
    return [line.slice(0, at), line.slice(at + 1)];
}));

async function resolver(name) {
    const value = records.get(name);
    if (value === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return [value.match(/.{1,255}/g)];
}

(async () => {
    for (const mail of mails) {
        const { results } = await dkimVerify(fs.readFileSync(mail), { resolver });
        console.log(results.map(one => `${one.algo}=${one.status.result}`).join(' '));
    }
})();
